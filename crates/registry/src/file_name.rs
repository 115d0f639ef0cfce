//! What a downloaded file is called: by its server (RFC 6266), else by its URL. Pure text.

use percent_encoding::percent_decode_str;
use url::Url;

/// The longest name that file systems take, in bytes.
const NAME_LIMIT: usize = 255;

/// The name that a `Content-Disposition` header gives, else the last part of the path of `url`; `None` when neither is
/// the name of a file in a directory.
pub(crate) fn file_name(disposition: Option<&str>, url: &Url) -> Option<String> {
    let told = disposition.and_then(from_disposition).and_then(plain);
    told.or_else(|| {
        plain(percent_decode_str(url.path_segments()?.next_back()?).decode_utf8().ok()?.into_owned())
    })
}

/// `name`, unless it is more or less than one name.
fn plain(name: String) -> Option<String> {
    let is_plain = !matches!(name.as_str(), "" | "." | "..")
        && name.len() <= NAME_LIMIT
        && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control());
    is_plain.then_some(name)
}

/// The value of `filename*`, else that of `filename`.
fn from_disposition(header: &str) -> Option<String> {
    let (mut name, mut extended) = (None, None);
    let mut rest = header.split_once(';')?.1;
    while let Some((key, after)) = rest.split_once('=') {
        let (value, after) = parameter_value(after.trim_start());
        match key.trim().to_ascii_lowercase().as_str() {
            "filename" => name = Some(value),
            "filename*" => extended = decoded(&value),
            _ => {}
        }
        rest = after;
    }
    extended.or(name)
}

/// A token or a quoted string, and what follows the semicolon behind it.
fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, quoted[at + 1..].trim_start().strip_prefix(';').unwrap_or("")),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            _ => value.push(character),
        }
    }
    (value, "")
}

/// `UTF-8'language'percent-encoded` (RFC 8187).
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    let text = percent_decode_str(encoded).decode_utf8().ok()?;
    charset.eq_ignore_ascii_case("utf-8").then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_name_files_and_urls_do_otherwise() {
        for (disposition, url, expected) in [
            ("", "https://h/a/b.tar?x=/y", Some("b.tar")),
            ("", "https://h/a%20b", Some("a b")),
            ("", "https://h/", None),
            ("", "https://h/a/", None),
            ("", "https://h/a%2Fb", None),
            ("attachment", "https://h/a", Some("a")),
            ("attachment; filename=x.txt", "https://h/a", Some("x.txt")),
            ("attachment; size=3; FileName = \"x \\\"y\\\".txt\"; a=b", "https://h/a", Some("x \"y\".txt")),
            ("attachment; filename=\"e.txt\"; filename*=UTF-8''%e2%82%ac.txt", "https://h/a", Some("€.txt")),
            ("attachment; filename*=latin1''%e2.txt; filename=e", "https://h/a", Some("e")),
            ("attachment; filename=\"a;b=c\"; filename=z", "https://h/a", Some("z")),
        ] {
            let url = Url::parse(url).unwrap();
            let disposition = Some(disposition).filter(|text| !text.is_empty());
            assert_eq!(file_name(disposition, &url).as_deref(), expected, "{disposition:?} {url}");
        }
    }

    #[test]
    fn no_name_leads_out_of_a_directory() {
        let url = Url::parse("https://h/safe").unwrap();
        for name in
            ["../x", "..", ".", "/etc/passwd", "a/b", "..\\x", "\"a\nb\"", "\"\"", "%00", "\"unclosed/"]
        {
            for form in
                [format!("a; filename={name}"), format!("a; filename*=UTF-8''{}", name.replace('/', "%2F"))]
            {
                let found = file_name(Some(&form), &url).unwrap();
                assert!(found == "safe" || !found.contains(['/', '\\', '\n', '\0']), "{form}: {found}");
            }
        }
        let long = format!("a; filename={}", "x".repeat(256));
        assert_eq!(file_name(Some(&long), &url).as_deref(), Some("safe"));
    }
}
