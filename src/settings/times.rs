//! Which times an image carries: `--timestamp`, `--source-date-epoch`, `SOURCE_DATE_EPOCH`.

use engine::Times;

use super::values::BuildArguments;
use super::{Environment, Error};
use crate::args::ImageArgs;

const NAME: &str = "SOURCE_DATE_EPOCH";

/// The flag wins over the build argument, and that over the environment. A clamping time is a build argument as well,
/// so that an `ARG SOURCE_DATE_EPOCH` hands it to the tools that RUN calls.
pub(crate) fn settle(
    args: &ImageArgs,
    build_args: &mut BuildArguments,
    environment: &Environment,
) -> Result<Times, Error> {
    if let Some(seconds) = args.timestamp {
        return Ok(Times::Force(seconds));
    }
    let given =
        build_args.0.get(NAME).map(String::as_str).or(environment.text(NAME)).filter(|text| !text.is_empty());
    let seconds = match (args.source_date_epoch, given) {
        (Some(seconds), _) => seconds,
        (None, Some(text)) => text.parse().map_err(|_| Error::BadValue {
            flag: NAME,
            text: text.to_owned(),
            why: "expected seconds since 1970".to_owned(),
        })?,
        (None, None) => return Ok(Times::Actual),
    };
    build_args.0.entry(NAME.to_owned()).or_insert_with(|| seconds.to_string());
    Ok(Times::Clamp(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::BuildArgs;

    fn times(flags: &[&str], variable: Option<&str>) -> Result<(Times, Option<String>), Error> {
        let words = flags.iter().map(Into::into).collect();
        let (_, args) = BuildArgs::from_words(words).unwrap();
        let variables: Vec<_> = variable.map(|value| (NAME, value)).into_iter().collect();
        let environment = Environment::of(&variables);
        let mut build_args = BuildArguments::read(&[], &args.build_arg, &environment)?;
        let times = settle(&args.image, &mut build_args, &environment)?;
        Ok((times, build_args.0.remove(NAME)))
    }

    #[test]
    fn the_flag_beats_the_build_argument_and_that_the_environment() {
        let argument = "--build-arg=SOURCE_DATE_EPOCH=2";
        for (flags, variable, expected, build_arg) in [
            (&[] as &[&str], None, Times::Actual, None),
            (&[], Some(""), Times::Actual, None),
            (&[], Some("3"), Times::Clamp(3), Some("3")),
            (&[argument], Some("3"), Times::Clamp(2), Some("2")),
            (&["--source-date-epoch=1", argument], Some("3"), Times::Clamp(1), Some("2")),
            (&["--source-date-epoch=0"], Some("3"), Times::Clamp(0), Some("0")),
            (&["--timestamp=5"], Some("3"), Times::Force(5), None),
        ] {
            let found = times(flags, variable).unwrap();
            assert_eq!(found, (expected, build_arg.map(str::to_owned)), "{flags:?}");
        }
        let error = times(&[], Some("today")).unwrap_err();
        assert_eq!(error.to_string(), "invalid SOURCE_DATE_EPOCH `today`: expected seconds since 1970");
    }
}
