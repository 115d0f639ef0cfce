//! Words that may hold quotes: the arguments of ENV, LABEL and ARG. Quotes stay; expansion takes them off.

use crate::Escape;
use crate::fragment::Fragment;

/// Splits at white space outside quotes and escapes.
///
/// Total: a quote that is never closed reaches to the end, and it is expansion that complains.
pub(crate) fn split_quoted(text: Fragment<'_>, escape: Escape) -> Vec<Fragment<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    let mut quote = None;
    let mut characters = text.as_str().char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if quote.is_none() && character.is_whitespace() {
            if let Some(start) = start.take() {
                words.push(text.slice(start, at));
            }
            continue;
        }
        start.get_or_insert(at);
        if character == escape.as_char() && quote != Some('\'') {
            // An escape that ends the text stands for nothing.
            if characters.next().is_none() && start == Some(at) {
                start = None;
            }
        } else if quote == Some(character) {
            quote = None;
        } else if quote.is_none() && matches!(character, '"' | '\'') {
            quote = Some(character);
        }
    }
    if let Some(start) = start {
        words.push(text.from(start));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logical_line::Lines;

    #[test]
    fn quotes_and_escapes_keep_words_together() {
        for (text, expected) in [
            ("a=1 b=2", vec!["a=1", "b=2"]),
            (r#"a="x y" b='z $q'"#, vec![r#"a="x y""#, "b='z $q'"]),
            (r"a=x\ y b", vec![r"a=x\ y", "b"]),
            (r#"a="x \" y" b"#, vec![r#"a="x \" y""#, "b"]),
            (r"a='x\' b", vec![r"a='x\'", "b"]),
            (r#"a="" b"#, vec![r#"a="""#, "b"]),
            (r#"a="never closed b"#, vec![r#"a="never closed b"#]),
            ("a=1 \\", vec!["a=1"]),
            ("a=한 \u{a0} b=국", vec!["a=한", "b=국"]),
        ] {
            let line = Lines::new(text, 0).next_logical(Escape::Backtick).unwrap();
            let words = split_quoted(line.fragment(), Escape::Backslash);
            assert_eq!(words.iter().map(|word| word.as_str()).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
