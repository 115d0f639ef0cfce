//! `HEALTHCHECK`.

use std::time::Duration;

use super::{CommandLine, Request};
use crate::flags::Flags;
use crate::flags::Kind::Value;
use crate::{Diagnostic, Word};

/// `HEALTHCHECK`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `NONE`: no check, also not an inherited one.
    Disabled,
    /// `CMD`: a command to run inside the container, and when.
    Command {
        /// The command; shell form becomes `CMD-SHELL` in the image config.
        command: CommandLine,
        /// When and how often.
        options: HealthcheckOptions,
    },
}

/// When a health check runs. What is not written, or written as zero, is inherited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthcheckOptions {
    /// `--interval=`.
    pub interval: Option<Duration>,
    /// `--timeout=`.
    pub timeout: Option<Duration>,
    /// `--start-period=`.
    pub start_period: Option<Duration>,
    /// `--start-interval=`.
    pub start_interval: Option<Duration>,
    /// `--retries=`.
    pub retries: Option<u32>,
}

pub(super) fn parse(mut request: Request<'_>) -> Result<Healthcheck, Diagnostic> {
    let mut flags = request.take_flags(&[
        ("interval", Value),
        ("timeout", Value),
        ("start-period", Value),
        ("start-interval", Value),
        ("retries", Value),
    ])?;
    let (kind, rest) = request.arguments.split_word();
    match kind.as_str().to_ascii_uppercase().as_str() {
        "NONE" if !rest.is_empty() => {
            Err(Diagnostic::error("HEALTHCHECK NONE takes no arguments", rest.span()))
        }
        "NONE" => {
            if let Some(span) = flags.first_span() {
                let message = "flags of HEALTHCHECK have no effect with NONE";
                request.warnings.push(Diagnostic::warning("HealthcheckFlagWithoutEffect", message, span));
            }
            Ok(Healthcheck::Disabled)
        }
        "CMD" => {
            let command = CommandLine::read(rest)?;
            if command.is_empty() {
                return Err(request.error("HEALTHCHECK CMD needs a command"));
            }
            Ok(Healthcheck::Command { command, options: options(&mut flags)? })
        }
        "" => Err(request.error("HEALTHCHECK needs `CMD <command>` or `NONE`")),
        _ => Err(Diagnostic::error(format!("unknown kind of health check `{}`", kind.as_str()), kind.span())
            .with_hint("write `HEALTHCHECK CMD <command>` or `HEALTHCHECK NONE`")),
    }
}

fn options(flags: &mut Flags) -> Result<HealthcheckOptions, Diagnostic> {
    let mut duration = |name| flags.value(name).map(|word| interval(&word)).transpose().map(Option::flatten);
    let interval = duration("interval")?;
    let timeout = duration("timeout")?;
    let start_period = duration("start-period")?;
    let start_interval = duration("start-interval")?;
    let retries = flags.value("retries").map(|word| retries(&word)).transpose()?.flatten();
    Ok(HealthcheckOptions { interval, timeout, start_period, start_interval, retries })
}

/// Zero means "inherit", and less than a millisecond nothing.
fn interval(word: &Word) -> Result<Option<Duration>, Diagnostic> {
    if word.text().is_empty() {
        return Ok(None);
    }
    let duration = parse_duration(word.text()).ok_or_else(|| {
        Diagnostic::error(format!("invalid duration `{}`", word.text()), word.span())
            .with_hint("write a number with a unit, such as `30s` or `1m30s`")
    })?;
    if !duration.is_zero() && duration < Duration::from_millis(1) {
        return Err(Diagnostic::error("a duration cannot be shorter than 1ms", word.span()));
    }
    Ok(Some(duration).filter(|duration| !duration.is_zero()))
}

fn retries(word: &Word) -> Result<Option<u32>, Diagnostic> {
    match word.text() {
        "" => Ok(None),
        text => match text.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Ok(Some(number).filter(|number| *number > 0)),
            None => Err(Diagnostic::error(format!("invalid number of retries `{text}`"), word.span())),
        },
    }
}

/// Go's `time.ParseDuration` for values that are not negative.
fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let number_length = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_length);
        let unit_length = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_length);
        nanoseconds = nanoseconds.checked_add(scaled(number, unit_nanoseconds(unit)?)?)?;
        rest = tail;
    }
    // The image config holds nanoseconds in a signed 64 bit number.
    i64::try_from(nanoseconds).ok().map(|nanoseconds| Duration::from_nanos(nanoseconds.unsigned_abs()))
}

fn unit_nanoseconds(unit: &str) -> Option<u128> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3600 * 1_000_000_000,
        _ => return None,
    })
}

/// A decimal number times `unit`, rounded down.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    // More digits than that are less than a nanosecond, or more than a config can hold.
    const DIGITS: usize = 18;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_number(fraction) || whole.len() > DIGITS {
        return None;
    }
    let parse = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse::<u128>().ok() };
    let fraction = &fraction[..fraction.len().min(DIGITS)];
    let fraction_value = parse(fraction)? * unit / 10u128.pow(fraction.len() as u32);
    Some(parse(whole)? * unit + fraction_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, expected) in [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("1h2m3s", Some(3_723_000)),
            ("1.5s", Some(1_500)),
            (".5s", Some(500)),
            ("300ms", Some(300)),
            ("5000us", Some(5)),
            ("5000µs", Some(5)),
            ("+2s", Some(2_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("", None),
            ("5", None),
            ("s", None),
            (".s", None),
            ("-5s", None),
            ("5 s", None),
            ("1.2.3s", None),
            ("5d", None),
            ("9999999999999h", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(parse_duration(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
