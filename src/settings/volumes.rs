//! `--volume` and `--mount`: what every RUN sees beside the image, in the spellings of buildah.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use containerfile::{Mount, Source};
use engine::{FlagMount, Volume, VolumeAccess, VolumeLimits};

use super::Error;

/// Options of buildah that change nothing here.
const LABELS: [&str; 2] = ["z", "Z"];

/// Reads all volumes; `notes` are told of options without effect.
pub(super) fn parse_all(flags: &[String], notes: &mut Vec<String>) -> Result<Vec<Volume>, Error> {
    let mut volumes: Vec<Volume> = Vec::new();
    for flag in flags {
        let volume = parse(flag, notes).map_err(|why| bad("--volume", flag, why))?;
        if volumes.iter().any(|known| known.target == volume.target) {
            return Err(bad("--volume", flag, "there is another volume at this target".to_owned()));
        }
        volumes.push(volume);
    }
    Ok(volumes)
}

/// Reads all mounts.
pub(super) fn mounts(flags: &[String]) -> Result<Vec<FlagMount>, Error> {
    let parse = |flag: &String| {
        let mount =
            Mount::parse_alone(flag).map_err(|diagnostic| bad("--mount", flag, diagnostic.message))?;
        if mount.from().is_some() {
            let why = "`from` can only stand in a RUN, which knows the stages before it".to_owned();
            return Err(bad("--mount", flag, why));
        }
        Ok(FlagMount { source: Arc::new(Source::new("--mount", flag.as_str())), mount })
    };
    flags.iter().map(parse).collect()
}

fn bad(flag: &'static str, text: &str, why: String) -> Error {
    Error::BadValue { flag, text: text.to_owned(), why }
}

/// `SOURCE:TARGET[:OPTION[,OPTION…]]`.
fn parse(flag: &str, notes: &mut Vec<String>) -> Result<Volume, String> {
    let fields: Vec<_> = flag.split(':').collect();
    let (source, target, options) = match fields[..] {
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        _ => return Err("expected SOURCE:TARGET or SOURCE:TARGET:OPTIONS".to_owned()),
    };
    let mut volume = Volume {
        source: self::source(source)?,
        target: self::target(target)?,
        access: VolumeAccess::ReadWrite,
        limits: VolumeLimits::default(),
    };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        apply(option, &mut volume, notes)?;
    }
    if volume.access == VolumeAccess::Discarded && !volume.source.is_dir() {
        return Err("changes to a file cannot be thrown away; use `ro`".to_owned());
    }
    Ok(volume)
}

fn source(text: &str) -> Result<PathBuf, String> {
    if !text.starts_with(['/', '.']) {
        return Err("the source is no path; there are no volumes with names".to_owned());
    }
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    if path.exists() { Ok(path) } else { Err("the source does not exist".to_owned()) }
}

fn target(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
        return Err("the target must be an absolute path without `..`".to_owned());
    }
    let clean: PathBuf = path.components().collect();
    if clean == Path::new("/") {
        return Err("it would hide all of the root file system".to_owned());
    }
    Ok(clean)
}

fn apply(option: &str, volume: &mut Volume, notes: &mut Vec<String>) -> Result<(), String> {
    let limits = &mut volume.limits;
    match option {
        "ro" => volume.access = VolumeAccess::ReadOnly,
        "rw" => volume.access = VolumeAccess::ReadWrite,
        "O" => volume.access = VolumeAccess::Discarded,
        "nosuid" => limits.nosuid = true,
        "suid" => limits.nosuid = false,
        "nodev" => limits.nodev = true,
        "dev" => limits.nodev = false,
        "noexec" => limits.noexec = true,
        "exec" => limits.noexec = false,
        // What they are anyway.
        "rbind" | "private" | "rprivate" => {}
        "U" => return Err("`U` would change owners on this machine: give it to the user yourself".to_owned()),
        "shared" | "rshared" | "slave" | "rslave" | "unbindable" | "runbindable" => {
            return Err(format!("`{option}` would carry mounts out of the step; volumes are private"));
        }
        label if LABELS.contains(&label) => {
            notes.push(format!("option `{label}` of --volume has no effect: no SELinux labels are written"));
        }
        _ => return Err(format!("unknown option `{option}`")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(flag: &str) -> Result<(String, VolumeAccess, VolumeLimits), String> {
        let volume = parse(flag, &mut Vec::new())?;
        Ok((volume.target.to_string_lossy().into_owned(), volume.access, volume.limits))
    }

    #[test]
    fn options_say_what_steps_may_do() {
        use VolumeAccess::{Discarded, ReadOnly, ReadWrite};
        let none = VolumeLimits::default();
        let some = VolumeLimits { nosuid: true, nodev: true, noexec: false };
        for (flag, target, access, limits) in [
            ("/tmp:/t", "/t", ReadWrite, none),
            ("/tmp:/t/:rw,rbind,rprivate", "/t", ReadWrite, none),
            ("/etc/passwd:/t:ro", "/t", ReadOnly, none),
            ("/tmp:/t:O", "/t", Discarded, none),
            (".:/t:z,ro,nosuid,nodev", "/t", ReadOnly, some),
            ("/tmp:/t:noexec,exec", "/t", ReadWrite, none),
        ] {
            assert_eq!(volume(flag).unwrap(), (target.to_owned(), access, limits), "{flag}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused() {
        for (flag, why) in [
            ("/tmp", "expected SOURCE:TARGET"),
            ("/tmp:/t:ro:x", "expected SOURCE:TARGET"),
            ("name:/t", "there are no volumes with names"),
            ("/no/such:/t", "does not exist"),
            ("/tmp:t", "must be an absolute path"),
            ("/tmp:/a/../..", "must be an absolute path"),
            ("/tmp:/", "hide all"),
            ("/tmp:/t:rshared", "carry mounts out"),
            ("/tmp:/t:U", "change owners"),
            ("/tmp:/t:upperdir=/etc", "unknown option `upperdir=/etc`"),
            ("/etc/passwd:/t:O", "use `ro`"),
        ] {
            let error = volume(flag).unwrap_err();
            assert!(error.contains(why), "{flag}: {error}");
        }
        let twice = ["/tmp:/t", "/etc:/t:ro"].map(str::to_owned);
        assert!(parse_all(&twice, &mut Vec::new()).is_err());
    }

    #[test]
    fn options_without_effect_are_told() {
        let mut notes = Vec::new();
        parse_all(&["/tmp:/t:Z".to_owned()], &mut notes).unwrap();
        assert_eq!(notes, ["option `Z` of --volume has no effect: no SELinux labels are written"]);
    }

    #[test]
    fn mounts_are_those_of_run() {
        assert_eq!(mounts(&["type=cache,target=/c".to_owned()]).unwrap().len(), 1);
        for wrong in ["target=/c,from=x", "traget=/c", "type=bind,target=/c,bind-propagation=rshared"] {
            assert!(mounts(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
