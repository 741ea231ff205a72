use std::time::Duration;

use tokio::time::advance;

use super::*;
use crate::shed::SHARE;

/// Whether a connection's place has been taken away.
fn is_shed(taken: &Taken) -> bool {
    taken.place().seat.state.load(Relaxed) == SHED
}

async fn later() {
    advance(Duration::from_millis(1)).await;
}

/// Places for `max`, all taken one after the other.
async fn full(max: usize) -> (Arc<Places>, Vec<Taken>) {
    let places = Places::new(max);
    let mut taken = Vec::new();
    for _ in 0..max {
        taken.push(places.take().expect("a place"));
        later().await;
    }
    (places, taken)
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_longest_goes_first() {
    let (places, taken) = full(3).await;
    taken[0].place().serve_from_now_on();
    taken[0].place().wait_from_now_on();
    let _newest = places.take().expect("a place");
    assert_eq!(taken.iter().map(is_shed).collect::<Vec<_>>(), [false, true, false]);
    taken[1].place().shed().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_request_with_a_body_moves_the_moment_too() {
    let (places, taken) = full(2).await;
    taken[0].place().wait_from_now_on();
    let _newest = places.take().expect("a place");
    assert_eq!(taken.iter().map(is_shed).collect::<Vec<_>>(), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn who_is_served_stays_and_the_newest_goes_if_nobody_waits() {
    let (places, taken) = full(3).await;
    for taken in &taken {
        taken.place().serve_from_now_on();
        taken.place().serve_from_now_on();
    }
    assert!(places.take().is_none());
    assert!(!taken.iter().any(is_shed));
    taken[2].place().wait_from_now_on();
    assert!(places.take().is_some());
    assert_eq!(taken.iter().map(is_shed).collect::<Vec<_>>(), [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn who_was_shed_stays_shed_and_is_counted_once() {
    let (places, mut taken) = full(2).await;
    let newest = places.take().expect("a place");
    let shed = taken.remove(0);
    shed.place().serve_from_now_on();
    shed.place().wait_from_now_on();
    assert!(is_shed(&shed));
    drop(shed);
    assert_eq!(places.lock().taken.len(), 2);
    taken[0].place().serve_from_now_on();
    assert_eq!(places.waiting.load(Relaxed), 1);
    drop((taken, newest));
    assert_eq!((places.lock().taken.len(), places.waiting.load(Relaxed)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_look_frees_a_share_of_the_places() {
    let (places, taken) = full(4 * SHARE).await;
    let _newest = places.take().expect("a place");
    assert_eq!(taken.iter().filter(|taken| is_shed(taken)).count(), 4);
    assert!(taken[..4].iter().all(is_shed), "the longest waiting ones");
    let mut more = Vec::new();
    for _ in 0..3 {
        more.push(places.take().expect("a place that was freed"));
    }
    assert_eq!(taken.iter().filter(|taken| is_shed(taken)).count(), 4);
    more.push(places.take().expect("a place"));
    assert_eq!(taken.iter().filter(|taken| is_shed(taken)).count(), 8);
}

#[test]
fn without_places_nobody_gets_in() {
    assert!(Places::new(0).take().is_none());
}

#[test]
fn turns_from_everywhere_leave_the_count_of_the_waiting_right() {
    let places = Places::new(8);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..2_000 {
                    let Some(taken) = places.take() else { continue };
                    taken.place().serve_from_now_on();
                    let second = places.take();
                    taken.place().wait_from_now_on();
                    if turn % 2 == 0 {
                        taken.place().serve_from_now_on();
                    }
                    drop(second);
                }
            });
        }
    });
    assert_eq!((places.lock().taken.len(), places.waiting.load(Relaxed)), (0, 0));
}
