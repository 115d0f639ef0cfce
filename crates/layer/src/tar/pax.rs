//! PAX records: `<length> <key>=<value>\n`, where length counts the whole record in bytes.

use crate::metadata::Timestamp;

/// The prefix of extended attributes (the spelling of star, which everybody follows).
pub(super) const XATTR: &str = "SCHILY.xattr.";

/// A record list that is not made of whole records.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedRecord;

/// The keys and values in `data`. Stops at the first malformed record.
///
/// The length is the only delimiter: a value may hold newlines, or what looks like another record.
pub(super) fn records(data: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8]), MalformedRecord>> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = split_record(rest);
        rest = record.as_ref().map_or(&[][..], |(_, rest)| rest);
        Some(record.map(|(record, _)| record).ok_or(MalformedRecord))
    })
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split_record(data: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let space = data.iter().position(|byte| *byte == b' ')?;
    let length = decimal(&data[..space])?;
    let (record, rest) = data.split_at_checked(usize::try_from(length).ok()?)?;
    let pair = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some(((&pair[..equals], &pair[equals + 1..]), rest))
}

/// Appends one record to `out`.
pub(super) fn push_record(out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // The length counts its own digits.
    let bare = key.len() + value.len() + " =\n".len();
    let mut length = bare;
    while bare + digits(length) != length {
        length = bare + digits(length);
    }
    out.extend_from_slice(format!("{length} ").as_bytes());
    out.extend_from_slice(key);
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

/// An unsigned decimal number, digits only.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A time as `[-]secs[.fraction]`; digits after the ninth are dropped.
pub(super) fn parse_time(text: &[u8]) -> Option<Timestamp> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = text.splitn(2, |byte| *byte == b'.');
    let secs = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanos =
        (0..9).fold(0, |nanos, place| nanos * 10 + u32::from(fraction.get(place).map_or(0, |d| d - b'0')));
    Some(match (negative, nanos) {
        (false, _) => Timestamp { secs, nanos },
        (true, 0) => Timestamp { secs: -secs, nanos },
        (true, _) => Timestamp { secs: -secs - 1, nanos: 1_000_000_000 - nanos },
    })
}

/// The text [`parse_time`] reads, without trailing zeros.
pub(super) fn format_time(time: Timestamp) -> Vec<u8> {
    let (sign, secs, nanos) = match time {
        Timestamp { secs, nanos: 0 } => (if secs < 0 { "-" } else { "" }, secs.unsigned_abs(), 0),
        Timestamp { secs, nanos } if secs < 0 => ("-", (secs + 1).unsigned_abs(), 1_000_000_000 - nanos),
        Timestamp { secs, nanos } => ("", secs.unsigned_abs(), nanos),
    };
    let mut text = format!("{sign}{secs}");
    if nanos != 0 {
        let fraction = format!(".{nanos:09}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_records_are_read_back() {
        // Lengths around the carry of the length's own digits.
        for length in (0..120).chain(980..1010).chain(9_980..10_010) {
            let value = vec![b'\n'; length];
            let mut data = Vec::new();
            push_record(&mut data, b"path", &value);
            push_record(&mut data, b"SCHILY.xattr.user.a", b"x\n17 path=SMUGGLED\n");
            let read: Vec<_> = records(&data).map(Result::unwrap).collect();
            assert_eq!(read[0], (&b"path"[..], &value[..]));
            assert_eq!(read[1].1, b"x\n17 path=SMUGGLED\n");
            assert_eq!(read.len(), 2);
        }
    }

    #[test]
    fn malformed_records_are_errors() {
        let cases: [&[u8]; 9] = [
            b"x",
            b"5",
            b" a=b\n",
            b"-6 a=b\n",
            b"6 a=b",
            b"6 ab\n\n\n",
            b"7 a=b\n",
            b"99999999999999999999 a=b\n",
            b"0 a=b\n",
        ];
        for data in cases {
            assert_eq!(records(data).last(), Some(Err(MalformedRecord)), "{}", data.escape_ascii());
        }
        assert_eq!(records(b"").count(), 0);
    }

    #[test]
    fn times_are_read_as_go_reads_them_and_written_back() {
        let cases = [
            ("0", 0, 0),
            ("1350244992", 1_350_244_992, 0),
            ("1350244992.02396", 1_350_244_992, 23_960_000),
            ("1350244992.0239600001", 1_350_244_992, 23_960_000),
            ("-1.5", -2, 500_000_000),
            ("-0.000000001", -1, 999_999_999),
            ("-12", -12, 0),
            ("1.", 1, 0),
        ];
        for (text, secs, nanos) in cases {
            let time = Timestamp { secs, nanos };
            assert_eq!(parse_time(text.as_bytes()), Some(time), "{text}");
            assert_eq!(parse_time(&format_time(time)), Some(time), "{text}");
        }
        for text in ["", "-", ".5", "1.x", "x", "1e3", "--1", "+1", "99999999999999999999"] {
            assert_eq!(parse_time(text.as_bytes()), None, "{text}");
        }
    }
}
