//! `RUN --mount`: spellings of both dialects and what they mean.

use std::collections::BTreeSet;

use super::*;
use crate::{Escape, Span};

fn mount(text: &str) -> Result<Mount, Diagnostic> {
    Mount::parse(&Word::new(text, Span::new(0, text.len())), Escape::Backslash, &mut Vec::new())
}

fn spec(text: &str) -> MountSpec {
    let scope = |name: &str| (name == "V").then(|| "value".to_owned());
    let expand = &mut |word: &Word| Ok(word.expand(&scope, Escape::Backslash)?.value);
    mount(text).and_then(|mount| mount.resolve(expand)).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn bind() -> BindMount {
    BindMount {
        from: None,
        source: String::new(),
        target: "/t".to_owned(),
        read_only: true,
        flags: BTreeSet::new(),
    }
}

fn cache() -> CacheMount {
    CacheMount {
        id: None,
        from: None,
        source: String::new(),
        target: "/t".to_owned(),
        sharing: Sharing::Shared,
        read_only: false,
        mode: 0o755,
        uid: 0,
        gid: 0,
        flags: BTreeSet::new(),
    }
}

#[test]
fn bind_and_cache_options_of_both_dialects() {
    for (text, expected) in [
        ("target=/t", bind()),
        ("type=bind,dst=/t", bind()),
        ("TYPE=Bind,Destination=/t", bind()),
        ("target=/t,rw", BindMount { read_only: false, ..bind() }),
        ("target=/t,rw=true", BindMount { read_only: false, ..bind() }),
        ("target=/t,readwrite=false", bind()),
        ("target=/t,ro=false", BindMount { read_only: false, ..bind() }),
        ("target=/t,src=a,from=$V", BindMount { source: "a".into(), from: Some("value".into()), ..bind() }),
        ("target=/t,bind-propagation=rprivate,z,relabel=shared,consistency=cached", bind()),
        ("\"target=/t\",\"source=a,b\"", BindMount { source: "a,b".into(), ..bind() }),
        ("target=/t,nosuid,U", BindMount { flags: [MountFlag::NoSuid, MountFlag::Chown].into(), ..bind() }),
        ("target=/t,bind-nonrecursive=false", bind()),
    ] {
        assert_eq!(spec(text), MountSpec::Bind(expected), "{text}");
    }
    for (text, expected) in [
        ("type=cache,target=/t", cache()),
        (
            "type=cache,target=/t,id=x,sharing=locked",
            CacheMount { id: Some("x".into()), sharing: Sharing::Locked, ..cache() },
        ),
        (
            "type=cache,target=/t,mode=0700,uid=1,gid=2,ro",
            CacheMount { mode: 0o700, uid: 1, gid: 2, read_only: true, ..cache() },
        ),
        ("target=/t,sharing=private,type=cache", CacheMount { sharing: Sharing::Private, ..cache() }),
    ] {
        assert_eq!(spec(text), MountSpec::Cache(expected), "{text}");
    }
}

#[test]
fn tmpfs_takes_both_spellings_of_its_size() {
    for text in ["type=tmpfs,target=/t,size=64m", "type=tmpfs,target=/t,tmpfs-size=65536k"] {
        let MountSpec::Tmpfs(tmpfs) = spec(text) else { panic!("{text}") };
        assert_eq!(tmpfs.size, Some(64 << 20));
        assert!(!tmpfs.read_only);
    }
    let MountSpec::Tmpfs(tmpfs) = spec("type=tmpfs,dst=/t,tmpfs-mode=1777,tmpcopyup") else { panic!() };
    assert_eq!(tmpfs.mode, Some(0o1777));
    assert!(tmpfs.flags.contains(&MountFlag::CopyUp));
}

#[test]
fn secrets_have_defaults() {
    for (text, id, target, env) in [
        ("type=secret,id=k", "k", Some("/run/secrets/k"), None),
        ("type=secret,id=a/k", "a/k", Some("/run/secrets/k"), None),
        ("type=secret,source=k,target=/t", "k", Some("/t"), None),
        ("type=secret,target=/a/k", "k", Some("/a/k"), None),
        ("type=secret,id=k,env=K", "k", None, Some("K")),
        ("type=secret,id=k,env=", "k", None, Some("k")),
        ("type=secret,id=k,env=K,target=/t", "k", Some("/t"), Some("K")),
    ] {
        let MountSpec::Secret(secret) = spec(text) else { panic!("{text}") };
        assert_eq!(secret.id, id, "{text}");
        assert_eq!(secret.target.as_deref(), target, "{text}");
        assert_eq!(secret.env.as_deref(), env, "{text}");
        assert_eq!((secret.mode, secret.uid, secret.gid), (0o400, 0, 0), "{text}");
    }
    let MountSpec::Ssh(ssh) = spec("type=ssh,required") else { panic!() };
    assert_eq!((ssh.id.as_str(), ssh.target, ssh.required, ssh.mode), ("default", None, true, 0o600));
}

#[test]
fn wrong_options_are_errors() {
    for (text, message) in [
        ("type=bnid,target=/t", "unknown mount type `bnid`"),
        ("traget=/t", "unknown mount option `traget`"),
        ("", "unknown mount option ``"),
        ("target", "mount option `target` needs a value"),
        ("target=/t,rw=maybe", "`maybe` is no boolean, as mount option `rw` needs"),
        ("target=/t,sharing=locked", "`sharing` is not an option of bind mounts"),
        ("target=/t,mode=755", "`mode` is not an option of bind mounts"),
        ("type=secret,id=a,from=b", "`from` is not an option of secret mounts"),
        ("type=cache,target=/t,sharing=some", "unknown sharing mode `some`"),
        ("type=cache,target=/t,mode=9", "`9` is no octal mode, as mount option `mode` needs"),
        ("type=cache,target=/t,uid=-1", "`-1` is no user id, as mount option `uid` needs"),
        ("type=tmpfs,target=/t,size=many", "`many` is no size, as mount option `size` needs"),
        ("type=secret", "a secret mount needs an `id` or a `target`"),
        ("type=secret,id=a,source=b", "`source` and `id` of a secret mount are the same thing"),
        ("target=/t,bind-propagation=rshared", "mount propagation `rshared` is not allowed"),
        ("target=/t,rprivate=false", "bind mounts are always `rprivate`"),
        ("type=tmpfs,target=/t,nodev=false", "tmpfs mounts are always `nodev`"),
        ("type=cache,target=/t,nodev=false", "cache mounts are always `nodev`"),
        ("type=secret,id=a,ro=false", "secret mounts are always `ro`"),
        ("target=/t,rshared", "mount propagation `rshared` is not allowed"),
        ("target=/t,upperdir=/etc", "unknown mount option `upperdir`"),
        ("\"target=/t", "the quote `\"` is never closed"),
    ] {
        assert_eq!(mount(text).unwrap_err().message, message, "{text}");
    }
    assert_eq!(mount("traget=/t").unwrap_err().hint.as_deref(), Some("did you mean `target`?"));
}

#[test]
fn meaning_waits_for_variables() {
    // Which options fit is known only when the type is.
    let mount = mount("type=$TYPE,target=/t,sharing=locked").unwrap();
    let resolve = |kind: &str| {
        let scope = |_: &str| Some(kind.to_owned());
        mount.resolve(&mut |word| Ok(word.expand(&scope, Escape::Backslash)?.value))
    };
    assert!(matches!(resolve("cache"), Ok(MountSpec::Cache(_))));
    assert!(resolve("bind").is_err());
}

#[test]
fn options_without_effect_are_warned_of() {
    let mut warnings = Vec::new();
    let text = "target=/t,Z";
    Mount::parse(&Word::new(text, Span::new(0, text.len())), Escape::Backslash, &mut warnings).unwrap();
    assert_eq!(warnings[0].code, Some("MountOptionWithoutEffect"));
    assert_eq!(warnings[0].span, Span::new(10, 11));
}
