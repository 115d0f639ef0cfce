//! HEALTHCHECK as the image config holds it, and as history tells it: a Go struct printed with `%q`.

use std::time::Duration;

use containerfile::{CommandLine, Healthcheck};

use super::quoted;

/// The form of the image config.
pub(super) fn lower(check: &Healthcheck) -> oci::Healthcheck {
    let nanos =
        |duration: Option<Duration>| duration.map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
    match check {
        Healthcheck::Disabled => oci::Healthcheck { test: vec!["NONE".to_owned()], ..Default::default() },
        Healthcheck::Command { command, options } => oci::Healthcheck {
            test: match command {
                CommandLine::Exec(arguments) => {
                    std::iter::once("CMD".to_owned()).chain(arguments.iter().cloned()).collect()
                }
                CommandLine::Shell(text) => vec!["CMD-SHELL".to_owned(), text.value.clone()],
            },
            interval: nanos(options.interval),
            timeout: nanos(options.timeout),
            start_period: nanos(options.start_period),
            start_interval: nanos(options.start_interval),
            retries: options.retries.unwrap_or(0).into(),
            ..Default::default()
        },
    }
}

/// What history says of it.
pub(super) fn history(check: &oci::Healthcheck) -> String {
    let times = [check.interval, check.timeout, check.start_period, check.start_interval];
    let times: Vec<_> = times.iter().map(|nanos| format!("\"{}\"", duration(*nanos))).collect();
    format!("HEALTHCHECK &{{{} {} {}}}", quoted(&check.test), times.join(" "), rune(check.retries))
}

/// Go's `time.Duration.String`.
fn duration(nanos: u64) -> String {
    let whole = Duration::from_nanos(nanos);
    let (hours, minutes) = (whole.as_secs() / 3600, whole.as_secs() / 60 % 60);
    let seconds = Duration::new(whole.as_secs() % 60, whole.subsec_nanos()).as_secs_f64();
    match (nanos, hours, minutes) {
        (0, ..) => "0s".to_owned(),
        (1..1_000_000_000, ..) => format!("{whole:?}"),
        (_, 0, 0) => format!("{seconds}s"),
        (_, 0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// Go's `%q` of an integer, which is that of the character with this number.
fn rune(number: u64) -> String {
    let character =
        u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    match character {
        '\x07' => r"'\a'".to_owned(),
        '\x08' => r"'\b'".to_owned(),
        '\x0b' => r"'\v'".to_owned(),
        '\x0c' => r"'\f'".to_owned(),
        '\t' | '\n' | '\r' | '\'' | '\\' => format!("'{}'", character.escape_default()),
        '\0'..' ' | '\x7f' => format!("'\\x{number:02x}'"),
        '\u{80}'..'\u{a0}' => format!("'\\u{number:04x}'"),
        _ => format!("'{character}'"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_numbers_are_written_as_go_does() {
        for (nanos, expected) in [
            (0, "0s"),
            (500_000_000, "500ms"),
            (1_500_000, "1.5ms"),
            (1_500_000_000, "1.5s"),
            (60_000_000_000, "1m0s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(duration(nanos), expected);
        }
        for (number, expected) in [(0, r"'\x00'"), (3, r"'\x03'"), (10, r"'\n'"), (39, r"'\''"), (65, "'A'")]
        {
            assert_eq!(rune(number), expected);
        }
        assert_eq!(rune(1 << 40), "'\u{fffd}'");
    }
}
