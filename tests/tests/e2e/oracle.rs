//! The tests' own RTMP client and edge are held to what others wrote before they judge anything.

use tidegate_tests::{
    credentials::write_certificates,
    media::{
        nginx::Nginx,
        players::{curl_receives, ffprobe, gst_rtmp2src, rtmpdump_receives},
        publisher::Publisher,
    },
    rtmp::{
        client::{Answer, connect},
        transport::Trust,
        url::RtmpUrl,
    },
};

#[test]
fn our_client_plays_what_ffmpeg_publishes_over_rtmp_and_rtmps() {
    let home = tempfile::tempdir().expect("a folder");
    write_certificates(home.path());
    let edge = Nginx::start_with_tls(home.path());
    let _camera = Publisher::start(&edge.url("cam"));
    let trust = Trust::only(&home.path().join("ca.pem"));
    for url in [edge.url("cam?token=a/b"), format!("rtmps://{}/live/cam?token=a/b", edge.rtmps)] {
        let url: RtmpUrl = url.parse().expect("a URL");
        let Answer::Accepted(mut client) = connect(&url, Some(&trust)).expect("an answer") else {
            panic!("{url:?} was refused");
        };
        assert!(client.echoed, "S2 is C1");
        let played = client.play(&url.stream).expect("it plays");
        assert_eq!(played.code, "NetStream.Play.Start");
        assert!(edge.players("cam") >= 1, "the edge counts the player");
        drop(client);
        let tc_url = url.tc_url();
        let with_token = edge.session("a player with a token", |session| {
            session.tc_url == tc_url && session.args == "token=a/b"
        });
        assert_eq!((with_token.app.as_str(), with_token.name.as_str()), ("live", "cam"));
    }
}

#[test]
fn our_client_publishes_where_others_do() {
    let edge = Nginx::start();
    let url: RtmpUrl = edge.url("mine?key=1").parse().expect("a URL");
    let Answer::Accepted(mut client) = connect(&url, None).expect("an answer") else {
        panic!("refused");
    };
    assert_eq!(client.publish(&url.stream).expect("a status"), "NetStream.Publish.Start");
    drop(client);
    let session = edge.session("the publisher", |session| session.command == "PUBLISH");
    assert_eq!((session.name.as_str(), session.args.as_str()), ("mine", "key=1"));
}

#[test]
fn players_play_from_the_edge_directly() {
    let edge = Nginx::start();
    let _camera = Publisher::start(&edge.url("cam"));
    let shown = ffprobe(&edge.url("cam")).ok();
    assert!(shown.contains("\"h264\"") && shown.contains("\"aac\""), "{shown}");
    rtmpdump_receives(&edge.url("cam"), &edge.home().join("rtmpdump.flv"));
    curl_receives(&edge.url("cam"), &edge.home().join("curl.flv"));
    gst_rtmp2src(&edge.url("cam"), 20, &[]).ok();
    assert!(edge.until_hls("cam").starts_with("#EXTM3U"));
}
