//! The `WWW-Authenticate` header (RFC 9110, 11.6.1): what a registry wants to see.

use std::collections::BTreeMap;

/// The challenge we answer, of those that a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password in each request.
    Basic,
    /// A token from the server at `realm` (distribution specification, token authentication).
    Bearer {
        realm: String,
        service: Option<String>,
        /// The scopes that the registry would like, separated by spaces.
        scope: Option<String>,
    },
}

impl Challenge {
    /// Chooses from all headers; a token is preferred to sending the password each time.
    pub(crate) fn parse<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let offers: Vec<Offer> = headers.flat_map(offers).collect();
        let bearer = offers.iter().filter(|offer| offer.scheme == "bearer").find_map(|offer| {
            let parameter = |name: &str| offer.parameters.get(name).cloned();
            let realm = parameter("realm")?;
            Some(Self::Bearer { realm, service: parameter("service"), scope: parameter("scope") })
        });
        bearer.or_else(|| offers.iter().any(|offer| offer.scheme == "basic").then_some(Self::Basic))
    }
}

/// One scheme with its parameters, names in lower case.
#[derive(Debug)]
struct Offer {
    scheme: String,
    parameters: BTreeMap<String, String>,
}

/// Splits one header. A word is a parameter of the scheme before it when `=` follows, else the next scheme.
fn offers(header: &str) -> Vec<Offer> {
    let mut offers: Vec<Offer> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return offers;
        }
        let word = word.to_ascii_lowercase();
        if let (Some(after), Some(offer)) = (after.trim_start().strip_prefix('='), offers.last_mut()) {
            let (value, after) = value(after.trim_start());
            offer.parameters.insert(word, value);
            rest = after;
        } else {
            offers.push(Offer { scheme: word, parameters: BTreeMap::new() });
            rest = after.trim_start_matches('=');
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (token, rest) = text.split_at(text.find([',', ' ']).unwrap_or(text.len()));
        return (token.to_owned(), rest);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Challenge::Bearer { realm: realm.to_owned(), service, scope }
    }

    #[test]
    fn the_strongest_understood_challenge_is_chosen() {
        for (headers, expected) in [
            (vec!["Basic realm=\"x\""], Some(Challenge::Basic)),
            (vec!["basic"], Some(Challenge::Basic)),
            (
                vec!["Bearer realm=\"https://a/t?x=1,2\",service=\"r.io\",scope=\"repository:a:pull,push\""],
                Some(bearer("https://a/t?x=1,2", Some("r.io"), Some("repository:a:pull,push"))),
            ),
            (
                vec!["Basic realm=x", "bearer  Realm = \"https://a/\\\"\""],
                Some(bearer("https://a/\"", None, None)),
            ),
            (
                vec!["Basic realm=x, Bearer realm=https://a, service=s"],
                Some(bearer("https://a", Some("s"), None)),
            ),
            (vec!["Bearer service=\"no realm\""], None),
            (vec!["Negotiate", "Digest realm=\"x\", nonce=\"Basic\""], None),
            (vec!["Bearer realm=\"unterminated"], Some(bearer("unterminated", None, None))),
            (vec!["", "=", ",,=,", "=Basic"], None),
        ] {
            assert_eq!(Challenge::parse(headers.iter().copied()), expected, "{headers:?}");
        }
    }
}
