//! Splits a parameter into words as `xargs` does, which is how the buildah task reads its extra arguments.

use super::Error;

/// The words of `text`, the value of `variable`.
///
/// Blanks and newlines separate words; quotes of both kinds keep them together; outside of quotes a backslash takes
/// the next character as it is. Nothing is expanded. An empty quoted word vanishes, as it does in the task, and a
/// quoted word may hold no newline (xargs(1)).
pub(crate) fn split(variable: &'static str, text: &str) -> Result<Vec<String>, Error> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' | '\n' => end(&mut word, &mut words),
            '\'' | '"' => {
                let quote = if character == '"' { "double" } else { "single" };
                let unmatched = Error::Unmatched { quote, variable };
                quoted(character, &mut characters, &mut word).ok_or(unmatched)?;
            }
            '\\' => word.extend(characters.next()),
            _ => word.push(character),
        }
    }
    end(&mut word, &mut words);
    Ok(words)
}

fn quoted(quote: char, characters: &mut std::str::Chars<'_>, word: &mut String) -> Option<()> {
    loop {
        match characters.next()? {
            '\n' => return None,
            character if character == quote => return Some(()),
            character => word.push(character),
        }
    }
}

fn end(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_xargs() {
        for (text, expected) in [
            ("", &[] as &[&str]),
            ("  --no-cache\t--pull\n", &["--no-cache", "--pull"]),
            (r#"--build-arg "EXTRA=testing buildargs""#, &["--build-arg", "EXTRA=testing buildargs"]),
            (r"--label=a='b c'd", &["--label=a=b cd"]),
            (r#"'a"b' "c'd""#, &[r#"a"b"#, "c'd"]),
            (r"a\ b \'c \\", &["a b", "'c", r"\"]),
            (r#""a\b" 'c\d'"#, &[r"a\b", r"c\d"]),
            ("'' \"\" x", &["x"]),
            ("$HOME ${X} *.rs ~ `id` #", &["$HOME", "${X}", "*.rs", "~", "`id`", "#"]),
            ("a\\", &["a"]),
        ] {
            assert_eq!(split("X", text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn an_unmatched_quote_is_an_error_that_names_the_variable() {
        for (text, quote) in [("a 'b", "single"), ("\"", "double"), ("'a\nb'", "single")] {
            let error = split("BUILD_EXTRA_ARGS", text).unwrap_err();
            assert_eq!(error.to_string(), format!("unmatched {quote} quote in BUILD_EXTRA_ARGS"), "{text}");
        }
    }
}
