//! Points in time as MediaMTX writes them: RFC 3339, with any fraction of a second and any offset.

use std::time::{Duration, SystemTime};

/// The point in time a text names, if it is one after 1970.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let (date, rest) = text.split_once(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-')?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at(zone_at);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let possible = (1970..=9_999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !possible {
        return None;
    }
    let local = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let utc = u64::try_from(local - offset_s(zone)?).ok()?;
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(utc) + Duration::try_from_secs_f64(fraction).ok()?)
}

/// Seconds to take away for universal time.
fn offset_s(zone: &str) -> Option<i64> {
    let sign = match zone.get(..1)? {
        "+" => 1,
        "-" => -1,
        _ => return (zone.len() == 1).then_some(0),
    };
    let [hours, minutes] = numbers(&zone[1..], ':')?;
    Some(sign * (hours * 3_600 + minutes * 60))
}

/// Numbers of at most four digits between separators.
fn numbers<const N: usize>(text: &str, separator: char) -> Option<[i64; N]> {
    let number = |part: &str| {
        let plain = !part.is_empty() && part.len() <= 4 && part.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| part.parse().ok()).flatten()
    };
    text.split(separator).map(number).collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// The civil calendar, with years that begin in March so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unix(text: &str) -> Option<f64> {
        let since = parse(text)?.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        Some(since.as_secs_f64())
    }

    #[test]
    fn a_time_is_read_with_its_fraction_and_its_offset() {
        assert_eq!(unix("1970-01-01T00:00:00Z"), Some(0.0));
        assert_eq!(unix("2003-11-04T23:15:07Z"), Some(1_067_987_707.0));
        assert_eq!(unix("2003-11-05T01:15:07.5+02:00"), Some(1_067_987_707.5));
        assert_eq!(unix("2024-02-29T12:00:00.123456789-05:30"), Some(1_709_227_800.123_456_8));
        assert_eq!(unix("2026-10-04T08:08:39Z"), Some(1_791_101_319.0));
    }

    #[test]
    fn what_is_no_time_is_none() {
        let texts = [
            "",
            "2024",
            "2024-02-29",
            "2024-02-29T12:00:00",
            "2024-13-01T00:00:00Z",
            "2024-02-29T24:00:00Z",
            "2024-02-29T12:00:00.x1Z",
            "2024-02-29T12:00:00+0530",
            "-024-02-29T12:00:00Z",
            "1969-12-31T23:00:00Z",
            "2024-02-29T12:00:00é",
            "0001-01-01T00:00:00Z",
        ];
        for text in texts {
            assert_eq!(unix(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text in "\\PC{0,40}", digits in "[0-9TZ:+.-]{0,40}") {
            let _ = (parse(&text), parse(&digits));
        }
    }
}
