//! Where buildah 1.28 and we differ on purpose, each with its reason. A reason that no case needs fails the test.

use crate::comparison::Difference;
use crate::generator::Case;

/// A kind of difference that is no fault.
pub(crate) struct Rule {
    /// Who does what, and why we do not follow buildah.
    pub(crate) reason: &'static str,
    /// Whether it explains this difference, as narrowly as it can be told.
    pub(crate) covers: fn(&Case, &Difference) -> bool,
}

/// All of them.
pub(crate) const RULES: &[Rule] = &[
    Rule {
        reason: "buildah records the host name of its working container; BuildKit and we have none",
        covers: |_, d| is_config(d, "Hostname") && d.ours.is_empty(),
    },
    Rule {
        reason: "CMD marks the image with ArgsEscaped, as BuildKit does",
        covers: |_, d| is_config(d, "ArgsEscaped") && d.ours == "true",
    },
    Rule {
        reason: "an image from scratch has the working directory `/`, as in BuildKit",
        covers: |_, d| is_config(d, "WorkingDir") && d.ours == "/" && d.theirs.is_empty(),
    },
    Rule {
        reason: "PATH is the first variable of an image from scratch, as in BuildKit; buildah adds it last",
        covers: |_, d| {
            is_config(d, "Env") && d.ours.starts_with("[\"PATH=") && words(&d.ours) == words(&d.theirs)
        },
    },
    Rule {
        reason: "the later of ARG and ENV wins, as in BuildKit; in buildah it is always ENV",
        covers: |case, d| {
            let swapped =
                d.theirs.replace("T=unset", "T=argument").replace("T=old form with blanks", "T=argument");
            is_config(d, "Env") && case.has("ARG V=") && words(&d.ours) == words(&swapped)
        },
    },
    Rule {
        reason: "buildah leaves the mount points of a RUN in the image",
        covers: |_, d| {
            let points = ["dev", "proc", "sys", "run", "etc/hosts", "etc/hostname", "etc/resolv.conf"];
            let of_flags = ["run/secrets", "mnt", "mnt/a"];
            is_theirs_only(d) && (points.contains(&d.path.as_str()) || of_flags.contains(&d.path.as_str()))
        },
    },
    Rule {
        reason: "buildah 1.28 removes the directory that a mount was over",
        covers: |case, d| {
            case.has("target=/old/sub ") && d.path == "old/sub" && d.theirs.is_empty() && d.key == "entry"
        },
    },
    Rule {
        reason: "files of the context are root's in a bind too, as in BuildKit; in buildah their owner's",
        covers: |case, d| {
            case.has("RUN --mount=target=/mnt ") && d.path == "kept/mnt/program" && d.theirs == "1234:1234"
        },
    },
    Rule {
        reason: "buildah makes the directories of VOLUME; BuildKit and we leave that to the runtime",
        covers: |_, d| {
            let volumes = ["data", "v1", "v2", "v 3", "old"];
            is_theirs_only(d) && d.theirs == "Directory 0:0" && volumes.contains(&d.path.as_str())
        },
    },
    Rule {
        reason: "what RUN changes below a VOLUME is kept, as in BuildKit; buildah 1.28 discards it",
        covers: |case, d| {
            let is_below =
                d.path.starts_with("old/") || d.path == "deep/hard" || is_error(d, "\"RUN mv /old");
            case.has("VOLUME [\"/old\"") && case.has("\nRUN ") && is_below
        },
    },
    Rule {
        reason: "set-id bits of the context are kept, as in BuildKit; buildah strips them",
        covers: |_, d| {
            d.key == "mode" && mode(&d.ours) & 0o6000 != 0 && mode(&d.ours) & 0o1777 == mode(&d.theirs)
        },
    },
    Rule {
        reason: "--chmod holds for directories that COPY makes and for members of archives, as in BuildKit",
        covers: |case, d| d.key == "mode" && case.flags("--chmod=").any(|flag| mode(flag) == mode(&d.ours)),
    },
    Rule {
        reason: "--chown holds for members of archives, as in BuildKit",
        covers: |case, d| {
            let owners: Vec<_> = case.flags("--chown=").map(with_group).collect();
            d.key == "owner" && is_in_archive(&d.path) && case.has("ADD --") && owners.contains(&d.ours)
        },
    },
    Rule {
        reason: "two names of one file in the sources of a COPY stay one file; buildah makes two of them",
        covers: |_, d| d.key == "links" && d.theirs.is_empty(),
    },
    Rule {
        reason: "a RUN that writes to one name of a file of a lower layer parts it from the others, as overlay does",
        covers: |case, d| {
            let names = ["old/file", "old/same", "deep/hard", "moved/file", "moved/same"];
            case.has("\nRUN ")
                && names.contains(&d.path.as_str())
                && ["links", "mode", "content"].contains(&d.key.as_str())
        },
    },
    Rule {
        reason: "`[[]` in a pattern is a bracket, as in BuildKit; buildah finds nothing",
        covers: |case, d| case.has("star[[]1]") && is_error(d, "matched nothing"),
    },
];

impl Case {
    fn has(&self, text: &str) -> bool {
        self.containerfile.contains(text)
    }

    /// The values of a flag.
    fn flags<'a>(&'a self, flag: &'static str) -> impl Iterator<Item = &'a str> {
        self.containerfile.split_whitespace().filter_map(move |word| word.strip_prefix(flag))
    }
}

fn is_config(difference: &Difference, key: &str) -> bool {
    difference.path == "config" && difference.key == key
}

fn is_theirs_only(difference: &Difference) -> bool {
    difference.key == "entry" && difference.ours.is_empty()
}

/// Whether buildah alone failed, with these words.
fn is_error(difference: &Difference, words: &str) -> bool {
    difference.path == "build" && difference.ours.is_empty() && difference.theirs.contains(words)
}

/// Whether it may come from one of the archives of the context.
fn is_in_archive(path: &str) -> bool {
    path.split('/').any(|name| name == "many") || path.ends_with("d/b")
}

fn with_group(owner: &str) -> String {
    if owner.contains(':') { owner.to_owned() } else { format!("{owner}:{owner}") }
}

fn mode(octal: &str) -> u32 {
    u32::from_str_radix(octal, 8).unwrap_or_default()
}

/// The values of a JSON array, whatever their order.
fn words(array: &str) -> Vec<String> {
    let mut words: Vec<String> = serde_json::from_str(array).unwrap_or_default();
    words.sort();
    words
}
