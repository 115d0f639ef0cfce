//! The names of lint rules, and those in `# check=` that are misspelt.

use containerfile::{Containerfile, Diagnostic, RuleSet, closest};

const MISSPELT: &str = "MisspeltRule";

/// The number of rules that BuildKit has.
const BUILDKITS: usize = 22;

/// The rules of BuildKit, then those that only builder has.
const RULES: [&str; 31] = [
    "ConsistentInstructionCasing",
    "CopyIgnoredFile",
    "DuplicateStageName",
    "ExposeInvalidFormat",
    "ExposeProtoCasing",
    "FromAsCasing",
    "FromPlatformFlagConstDisallowed",
    "InvalidBaseImagePlatform",
    "InvalidDefaultArgInFrom",
    "InvalidDefinitionDescription",
    "JSONArgsRecommended",
    "LegacyKeyValueFormat",
    "MaintainerDeprecated",
    "MultipleInstructionsDisallowed",
    "NoEmptyContinuation",
    "RedundantTargetPlatform",
    "ReservedStageName",
    "SecretsUsedInArgOrEnv",
    "StageNameCasing",
    "UndefinedArgInFrom",
    "UndefinedVar",
    "WorkdirRelativePath",
    "ForeignSyntax",
    "HealthcheckFlagWithoutEffect",
    "LinkThroughSymlink",
    MISSPELT,
    "MountOptionWithoutEffect",
    "QuotedHeredoc",
    "SeveralSourcesIntoFile",
    "UndeclaredBuildArg",
    "WriteAfterVolume",
];

/// Whether BuildKit has a rule of this name. Where a file wants warnings to fail the build, only these do: it builds
/// here if it builds there.
pub(crate) fn is_buildkits(code: &str) -> bool {
    RULES[..BUILDKITS].contains(&code)
}

/// What is said of names that are nearly those of rules. Others may be rules of another version, and skip nothing here.
pub(super) fn warnings(file: &Containerfile) -> Vec<Diagnostic> {
    let Some(check) = &file.directives.check else { return Vec::new() };
    let named = [&check.value.skip, &check.value.experimental].into_iter().filter_map(|set| match set {
        RuleSet::Named(names) => Some(names),
        RuleSet::All => None,
    });
    let unknown = named.flatten().filter(|name| !RULES.contains(&name.as_str()));
    let warning = |name: &String| {
        let close = closest(name, RULES)?;
        let message = format!("there is no lint rule `{name}`");
        Some(Diagnostic::warning(MISSPELT, message, check.span).with_suggestion(Some(close)))
    };
    unknown.filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use containerfile::{Source, parse};

    use super::*;

    #[test]
    fn misspelt_rules_are_told() {
        let told = |check: &str| {
            let text = format!("# check={check}\nFROM scratch");
            let warnings = warnings(&parse(&Source::new("Containerfile", text.as_str())).unwrap());
            warnings.into_iter().filter_map(|warning| warning.hint).collect::<Vec<_>>()
        };
        assert_eq!(told("skip=StagNameCasing"), ["did you mean `StageNameCasing`?".into()]);
        assert_eq!(told("skip=undefinedvar"), ["did you mean `UndefinedVar`?".into()]);
        assert!(told("skip=StageNameCasing,RuleOfTomorrow").is_empty());
        assert!(told("skip=all").is_empty());
    }
}
