//! The comma separated fields of `--mount` and `--device`, and of flags like them: one record of RFC 4180.

use crate::{Diagnostic, Word};

/// Splits a flag's value into fields. A field in double quotes may hold commas; `""` in it is a quote.
pub fn fields(value: &Word) -> Result<Vec<Word>, Diagnostic> {
    let text = value.text();
    let mut fields = Vec::new();
    let mut start = 0;
    loop {
        let (field, end) = if text[start..].starts_with('"') {
            quoted_field(value, start)?
        } else {
            let end = text[start..].find(',').map_or(text.len(), |comma| start + comma);
            (value.part(start..end), end)
        };
        fields.push(field);
        if end == text.len() {
            return Ok(fields);
        }
        start = end + 1;
    }
}

/// The field that starts with a quote at `start`, and where it ends: at a comma or at the end of the text.
fn quoted_field(value: &Word, start: usize) -> Result<(Word, usize), Diagnostic> {
    let text = value.text();
    let mut at = start + 1;
    loop {
        let Some(quote) = text[at..].find('"').map(|quote| at + quote) else {
            let span = value.span_of(start..text.len());
            return Err(Diagnostic::error("the quote `\"` is never closed", span));
        };
        match text.as_bytes().get(quote + 1) {
            Some(b'"') => at = quote + 2,
            None | Some(b',') => {
                let content = text[start + 1..quote].replace("\"\"", "\"");
                return Ok((Word::new(content, value.span_of(start..quote + 1)), quote + 1));
            }
            Some(_) => {
                let span = value.span_of(start..quote + 1);
                return Err(Diagnostic::error("a quoted field must end at its closing quote", span));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    fn split(text: &str) -> Option<Vec<String>> {
        let fields = fields(&Word::new(text, Span::new(0, text.len()))).ok()?;
        Some(fields.iter().map(|field| field.text().to_owned()).collect())
    }

    #[test]
    fn fields_may_be_quoted() {
        for (text, expected) in [
            ("a=1,b", vec!["a=1", "b"]),
            ("", vec![""]),
            ("a,", vec!["a", ""]),
            (r#""a=1,2",b"#, vec!["a=1,2", "b"]),
            (r#""a=""x""""#, vec![r#"a="x""#]),
            (r#"a="x""#, vec![r#"a="x""#]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
        assert_eq!(split("\"a"), None);
        assert_eq!(split("\"a\"b"), None);
    }
}
