//! A private key that signs: Ed25519, ECDSA over the three NIST curves, and RSA (RFC 4253, 5656, 8332, 8709).

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, RsaEncoding, RsaKeyPair,
};

use super::fields::{put_integer, put_string};

/// draft-ietf-sshm-ssh-agent, section 3.6.1.
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;

/// A curve by its names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Curve {
    /// As in RFC 5656: `nistp256`.
    pub(super) name: &'static str,
    pub(super) algorithm: &'static EcdsaSigningAlgorithm,
    /// Bytes of a coordinate.
    pub(super) size: usize,
}

pub(super) const CURVES: [Curve; 3] = [
    Curve { name: "nistp256", algorithm: &signature::ECDSA_P256_SHA256_FIXED_SIGNING, size: 32 },
    Curve { name: "nistp384", algorithm: &signature::ECDSA_P384_SHA384_FIXED_SIGNING, size: 48 },
    Curve { name: "nistp521", algorithm: &signature::ECDSA_P521_SHA512_FIXED_SIGNING, size: 66 },
];

/// What signs.
#[derive(Debug)]
pub(super) enum Pair {
    Ed25519(Ed25519KeyPair),
    Ecdsa(&'static Curve, EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A private key with its name.
#[derive(Debug)]
pub(super) struct Key {
    pair: Pair,
    public: Vec<u8>,
    /// What lists of keys show.
    pub(super) comment: String,
}

impl Key {
    pub(super) fn new(pair: Pair, comment: String) -> Self {
        let public = public(&pair);
        Self { pair, public, comment }
    }

    /// The public key as SSH sends it.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// The signature of `data` as SSH sends it; `flags` choose among those of RSA.
    pub(super) fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        let (name, bytes) = match &self.pair {
            Pair::Ed25519(pair) => ("ssh-ed25519".to_owned(), pair.sign(data).as_ref().to_vec()),
            Pair::Ecdsa(curve, pair) => {
                let signature = pair.sign(&SystemRandom::new(), data).ok()?;
                let (r, s) = signature.as_ref().split_at_checked(curve.size)?;
                let mut bytes = Vec::new();
                put_integer(&mut bytes, r);
                put_integer(&mut bytes, s);
                (format!("ecdsa-sha2-{}", curve.name), bytes)
            }
            Pair::Rsa(pair) => {
                let (name, padding): (_, &dyn RsaEncoding) = match flags {
                    flags if flags & RSA_SHA2_512 != 0 => ("rsa-sha2-512", &signature::RSA_PKCS1_SHA512),
                    flags if flags & RSA_SHA2_256 != 0 => ("rsa-sha2-256", &signature::RSA_PKCS1_SHA256),
                    // Whoever asks for neither wants SHA-1, which nobody accepts any more.
                    _ => return None,
                };
                let mut bytes = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &SystemRandom::new(), data, &mut bytes).ok()?;
                (name.to_owned(), bytes)
            }
        };
        let mut signature = Vec::new();
        put_string(&mut signature, name.as_bytes());
        put_string(&mut signature, &bytes);
        Some(signature)
    }
}

fn public(pair: &Pair) -> Vec<u8> {
    use aws_lc_rs::signature::KeyPair as _;
    let mut public = Vec::new();
    match pair {
        Pair::Ed25519(pair) => {
            put_string(&mut public, b"ssh-ed25519");
            put_string(&mut public, pair.public_key().as_ref());
        }
        Pair::Ecdsa(curve, pair) => {
            put_string(&mut public, format!("ecdsa-sha2-{}", curve.name).as_bytes());
            put_string(&mut public, curve.name.as_bytes());
            put_string(&mut public, pair.public_key().as_ref());
        }
        Pair::Rsa(pair) => {
            let key = pair.public_key();
            put_string(&mut public, b"ssh-rsa");
            put_integer(&mut public, key.exponent().big_endian_without_leading_zero());
            put_integer(&mut public, key.modulus().big_endian_without_leading_zero());
        }
    }
    public
}
