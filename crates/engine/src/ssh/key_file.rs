//! Files with a private key: OpenSSH's own form (PROTOCOL.key), PKCS#8, PKCS#1 and SEC1, all in PEM (RFC 7468).

use std::fs::File;
use std::io::Read;
use std::path::Path;

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::fields::Fields;
use super::key::{CURVES, Key, Pair};
use super::rsa;
use crate::error::{Cause, Error};

/// No honest key is larger.
const LIMIT: u64 = 64 << 10;
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// Why a file gives no key.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    NoKey,
    Encrypted,
    UnknownKind,
}

/// The private key in the file `path`.
pub(super) fn read(path: &Path) -> Result<Key, Error> {
    let mut text = Zeroizing::new(Vec::new());
    File::open(path)
        .and_then(|file| file.take(LIMIT).read_to_end(&mut text))
        .map_err(|source| Cause::Io { action: "read the key", path: path.to_owned(), source })?;
    let name = path.display().to_string();
    parse(&text, &name).map_err(|fault| {
        let path = path.to_owned();
        match fault {
            Fault::NoKey => Cause::BadKey { path, why: "it holds no private key" }.into(),
            Fault::UnknownKind => {
                Cause::BadKey { path, why: "only Ed25519, ECDSA and RSA keys can sign" }.into()
            }
            Fault::Encrypted => Cause::EncryptedKey { path }.into(),
        }
    })
}

fn parse(text: &[u8], name: &str) -> Result<Key, Fault> {
    let text = str::from_utf8(text).map_err(|_| Fault::NoKey)?;
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(Fault::NoKey)?;
    let (label, rest) = rest.split_once("-----").ok_or(Fault::NoKey)?;
    let (body, _) = rest.split_once("-----END ").ok_or(Fault::NoKey)?;
    // RFC 1421, section 4.6.1.1: what an encrypted key begins with.
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("Proc-Type:") {
        return Err(Fault::Encrypted);
    }
    let digits: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    let der = Zeroizing::new(STANDARD.decode(digits.as_bytes()).map_err(|_| Fault::NoKey)?);
    let (pair, comment) = match label {
        "OPENSSH PRIVATE KEY" => openssh(&der)?,
        "RSA PRIVATE KEY" => (RsaKeyPair::from_der(&der).ok().map(Pair::Rsa), None),
        "EC PRIVATE KEY" => (ecdsa(&der), None),
        "PRIVATE KEY" => (pkcs8(&der), None),
        _ => return Err(Fault::NoKey),
    };
    let pair = pair.ok_or(Fault::UnknownKind)?;
    Ok(Key::new(pair, comment.unwrap_or_else(|| name.to_owned())))
}

fn pkcs8(der: &[u8]) -> Option<Pair> {
    let ed25519 = || Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Pair::Ed25519);
    let rsa = || RsaKeyPair::from_pkcs8(der).ok().map(Pair::Rsa);
    ed25519().or_else(rsa).or_else(|| ecdsa(der))
}

fn ecdsa(der: &[u8]) -> Option<Pair> {
    CURVES.iter().find_map(|curve| {
        let pair = EcdsaKeyPair::from_private_key_der(curve.algorithm, der).ok()?;
        Some(Pair::Ecdsa(curve, pair))
    })
}

/// The only key of a file of `ssh-keygen`, with its comment.
fn openssh(bytes: &[u8]) -> Result<(Option<Pair>, Option<String>), Fault> {
    let mut fields = Fields(bytes.strip_prefix(MAGIC).ok_or(Fault::NoKey)?);
    let cipher = fields.string().ok_or(Fault::NoKey)?;
    if cipher != b"none" {
        return Err(Fault::Encrypted);
    }
    let mut private = private_section(&mut fields).ok_or(Fault::NoKey)?;
    let kind = private.string().ok_or(Fault::NoKey)?;
    let pair = match kind {
        b"ssh-ed25519" => openssh_ed25519(&mut private),
        b"ssh-rsa" => rsa::read(&mut private).map(Pair::Rsa),
        _ => openssh_ecdsa(kind, &mut private),
    };
    let comment = private.string().filter(|_| pair.is_some());
    Ok((pair, comment.map(|comment| String::from_utf8_lossy(comment).into_owned())))
}

/// What an unencrypted file of one key holds of that.
fn private_section<'a>(fields: &mut Fields<'a>) -> Option<Fields<'a>> {
    let (_kdf, _options, count, _public) =
        (fields.string()?, fields.string()?, fields.number()?, fields.string()?);
    let mut private = Fields(fields.string()?);
    // The two numbers tell a right passphrase from a wrong one.
    let checked = private.number()? == private.number()?;
    (count == 1 && checked).then_some(private)
}

/// The public key, then the seed with the public key behind it.
fn openssh_ed25519(fields: &mut Fields<'_>) -> Option<Pair> {
    let (public, seed) = (fields.string()?, fields.string()?.get(..32)?);
    Ed25519KeyPair::from_seed_and_public_key(seed, public).ok().map(Pair::Ed25519)
}

/// The curve, the public point and the secret number.
fn openssh_ecdsa(kind: &[u8], fields: &mut Fields<'_>) -> Option<Pair> {
    let name = kind.strip_prefix(b"ecdsa-sha2-")?;
    let curve = CURVES.iter().find(|curve| curve.name.as_bytes() == name)?;
    let (_curve, point, secret) = (fields.string()?, fields.string()?, fields.integer()?);
    let zeros = curve.size.checked_sub(secret.len())?;
    let secret = Zeroizing::new([&vec![0; zeros], secret].concat());
    let pair = EcdsaKeyPair::from_private_key_and_public_key(curve.algorithm, &secret, point).ok()?;
    Some(Pair::Ecdsa(curve, pair))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_told_apart() {
        let openssh = |bytes: &[u8]| {
            let body = STANDARD.encode([MAGIC, bytes].concat());
            format!("-----BEGIN OPENSSH PRIVATE KEY-----\n{body}\n-----END OPENSSH PRIVATE KEY-----\n")
        };
        for (text, fault) in [
            (String::new(), Fault::NoKey),
            ("ssh-ed25519 AAAA me".to_owned(), Fault::NoKey),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".to_owned(), Fault::NoKey),
            ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----".to_owned(), Fault::UnknownKind),
            ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----".to_owned(), Fault::NoKey),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----".to_owned(),
                Fault::Encrypted,
            ),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----"
                    .to_owned(),
                Fault::Encrypted,
            ),
            (openssh(b""), Fault::NoKey),
            (openssh(b"\0\0\0\x0aaes256-ctr"), Fault::Encrypted),
            (openssh(b"\0\0\0\x04none\xff\xff"), Fault::NoKey),
        ] {
            assert_eq!(parse(text.as_bytes(), "key").unwrap_err(), fault, "{text}");
        }
    }
}
