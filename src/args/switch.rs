//! Booleans as Go's programs take them: `--flag`, `--flag=true`, `--flag=0`, never `--flag true`.

/// Reads what Go's `strconv.ParseBool` reads.
pub(super) fn parse(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn go_booleans_are_read() {
        for (text, expected) in [("true", Ok(true)), ("T", Ok(true)), ("0", Ok(false)), ("False", Ok(false))]
        {
            assert_eq!(super::parse(text), expected, "{text}");
        }
        assert!(super::parse("yes").is_err() && super::parse("").is_err());
    }
}
