//! An error status, and what the registry said with it.

use std::fmt;
use std::time::Duration;

use super::Call;

/// The most of a registry's message that is shown, in characters.
const MESSAGE_LIMIT: usize = 300;

/// An HTTP error status with what the registry said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The registry's error code, such as `MANIFEST_UNKNOWN`.
    pub code: Option<String>,
    /// The registry's message, in one printable line.
    pub message: Option<String>,
    /// The `Retry-After` header.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// Reads the first error of a registry's answer, or the `details` of a token server's.
    pub(crate) fn parse(status: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        let json: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |value: &serde_json::Value| value.as_str().map(printable).filter(|text| !text.is_empty());
        let first = &json["errors"][0];
        Self {
            status,
            code: text(&first["code"]),
            message: text(&first["message"]).or_else(|| text(&json["details"])),
            retry_after,
        }
    }

    pub(super) fn is_transient(&self) -> bool {
        // A registry behind a load balancer may have started the upload on another machine.
        let lost_upload = self.code.as_deref() == Some("BLOB_UPLOAD_UNKNOWN");
        lost_upload || matches!(self.status, 408 | 429 | 500 | 502 | 503 | 504)
    }

    /// The cure where a plain file was asked for.
    pub(super) fn file_hint(&self, call: &Call) -> Option<String> {
        let host = call.host();
        let hint = match self.status {
            401 | 403 => format!(
                "`{host}` wants to know who asks; give the secret HTTP_AUTH_TOKEN_{host} or HTTP_AUTH_HEADER_{host}"
            ),
            404 | 410 => format!("`{host}` has no such file; check the URL"),
            429 => format!("`{host}` limits the rate of requests; try again later"),
            500.. => format!("`{host}` is in trouble; try again later"),
            _ => return None,
        };
        Some(hint)
    }

    pub(super) fn hint(&self, call: &Call) -> Option<String> {
        let host = call.host();
        let hint = match (self.status, self.code.as_deref()) {
            (404, _) if call.url.contains("/manifests/") => {
                format!("no such tag or repository on `{host}`, or it is hidden from this user")
            }
            (404, Some("NAME_UNKNOWN")) => format!("no such repository on `{host}`; create it first"),
            (403, _) => {
                let right =
                    if matches!(call.method.as_str(), "GET" | "HEAD") { "pull from" } else { "push to" };
                format!("this user may not {right} the repository on `{host}`; ask its owner")
            }
            (413, _) => "a proxy before the registry limits the size of a request; raise its limit \
                 (nginx: client_max_body_size)"
                .to_owned(),
            (429, _) => format!("`{host}` limits the rate of requests; log in or try again later"),
            (400, _) if self.message.as_deref().is_some_and(|m| m.contains("HTTP request to an HTTPS")) => {
                format!("`{host}` wants https; leave out --tls-verify=false")
            }
            (507, _) => format!("`{host}` has no space left"),
            (500.., _) => format!("`{host}` is in trouble; its log says more"),
            _ => return None,
        };
        Some(hint)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = || reqwest::StatusCode::from_u16(self.status).ok()?.canonical_reason();
        write!(formatter, "{}", self.status)?;
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(formatter, " {code}: {message}"),
            (Some(code), None) => write!(formatter, " {code}"),
            (None, Some(message)) => write!(formatter, ": {message}"),
            (None, None) => reason().map_or(Ok(()), |reason| write!(formatter, " {reason}")),
        }
    }
}

/// One line of bounded length that cannot move a terminal's cursor.
pub(crate) fn printable(text: &str) -> String {
    let text = text.trim().chars().take(MESSAGE_LIMIT);
    text.map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_show_the_registrys_code_and_message() {
        for (body, expected) in [
            (r#"{"errors":[{"code":"DENIED","message":"no\u001b[31m way\n"}]}"#, "403 DENIED: no [31m way"),
            (r#"{"errors":[{"code":"DENIED"}]}"#, "403 DENIED"),
            (r#"{"details":"bad password"}"#, "403: bad password"),
            (r#"{"errors":"x"}"#, "403 Forbidden"),
            ("<html>", "403 Forbidden"),
        ] {
            assert_eq!(Refusal::parse(403, None, body.as_bytes()).to_string(), expected);
        }
        let long = format!(r#"{{"details":"{}"}}"#, "x".repeat(10_000));
        assert!(Refusal::parse(403, None, long.as_bytes()).to_string().len() < 400);
    }
}
