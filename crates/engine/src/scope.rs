//! Which variables have which values at a point of a stage (Dockerfile reference, "Environment replacement", "ARG").
//!
//! ENV and ARG share one list in which the later declaration wins. ARGs before the first FROM are a scope of their own,
//! from which a stage imports by naming.

use std::collections::BTreeMap;

use containerfile::{ArgDeclaration, Diagnostic, Escape, Excerpt, Source};
use oci::Platform;

/// Values that exist outside of all stages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Globals {
    /// What `--build-arg` gave.
    build_args: BTreeMap<String, String>,
    /// Platform arguments, then ARGs before the first FROM.
    values: BTreeMap<String, String>,
    /// The lines of those ARGs.
    declared: BTreeMap<String, String>,
}

impl Globals {
    /// The platform arguments for a build on this machine for `target`, and the ARGs before the first FROM of `source`.
    pub(crate) fn new(
        build_args: &BTreeMap<String, String>,
        target: &Platform,
        stage: &str,
        declarations: &[ArgDeclaration],
        escape: Escape,
        source: &Source,
    ) -> Result<Self, Diagnostic> {
        let mut globals = Self {
            build_args: build_args.clone(),
            values: platform_args(target, stage),
            declared: BTreeMap::new(),
        };
        for declaration in declarations {
            let name = declaration.name.text();
            let value = match (build_args.get(name), &declaration.default) {
                (Some(value), _) => Some(value.clone()),
                (None, Some(default)) => Some(default.expand(&|name| globals.get(name), escape)?.value),
                (None, None) => None,
            };
            globals.values.extend(value.map(|value| (name.to_owned(), value)));
            globals.declared.insert(name.to_owned(), line(declaration, source));
        }
        Ok(globals)
    }

    /// The value that FROM sees.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// The line of the ARG before the first FROM that declares `name`.
    pub(crate) fn declared(&self, name: &str) -> Option<&str> {
        self.declared.get(name).map(String::as_str)
    }

    /// The value of a build argument, declared or not.
    pub(crate) fn build_arg(&self, name: &str) -> Option<&String> {
        self.build_args.get(name)
    }
}

/// Where an ARG stands: `Containerfile:3`.
fn line(declaration: &ArgDeclaration, source: &Source) -> String {
    let Excerpt { name, position, .. } = source.excerpt(declaration.span);
    format!("{name}:{}", position.line)
}

fn platform_args(target: &Platform, stage: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([("TARGETSTAGE".to_owned(), stage.to_owned())]);
    for (side, platform) in [("TARGET", target), ("BUILD", &Platform::host())] {
        values.insert(format!("{side}PLATFORM"), platform.to_string());
        values.insert(format!("{side}OS"), platform.os.clone());
        values.insert(format!("{side}ARCH"), platform.architecture.clone());
        values.insert(format!("{side}VARIANT"), platform.variant.clone().unwrap_or_default());
        values.insert(format!("{side}OSVERSION"), String::new());
    }
    values
}

/// The variables of a stage so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// What RUN sees, in the order of first declaration.
    variables: Vec<(String, String)>,
    /// The declared ARGs, also those without a value, in the order of first declaration.
    args: Vec<Arg>,
}

/// A declared ARG.
#[derive(Debug, Clone)]
struct Arg {
    name: String,
    /// The line that has declared it last.
    line: String,
}

impl Scope {
    /// The scope at the start of a stage whose base has this environment.
    pub(crate) fn of_image(env: &[String]) -> Self {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').unwrap_or((text, ""));
            (name.to_owned(), value.to_owned())
        };
        Self { variables: env.iter().map(pair).collect(), args: Vec::new() }
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    }

    /// Sets a variable, as ENV does.
    pub(crate) fn set(&mut self, name: &str, value: String) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }

    /// Declares an ARG of `source` and returns its value: the build argument, else its default, else the global one.
    pub(crate) fn declare(
        &mut self,
        declaration: &ArgDeclaration,
        globals: &Globals,
        escape: Escape,
        source: &Source,
    ) -> Result<Option<String>, Diagnostic> {
        let name = declaration.name.text();
        let value = match (globals.build_arg(name), &declaration.default) {
            (Some(value), _) => Some(value.clone()),
            (None, Some(default)) => Some(default.expand(&|name| self.get(name), escape)?.value),
            (None, None) => globals.get(name),
        };
        if let Some(value) = &value {
            self.set(name, value.clone());
        }
        let line = line(declaration, source);
        match self.args.iter_mut().find(|known| known.name == name) {
            Some(known) => known.line = line,
            None => self.args.push(Arg { name: name.to_owned(), line }),
        }
        Ok(value)
    }

    /// All variables with a value: the environment of a RUN.
    pub(crate) fn variables(&self) -> &[(String, String)] {
        &self.variables
    }

    /// The declared ARGs with their values, as history shows them.
    pub(crate) fn args(&self) -> Vec<(&str, String)> {
        self.args.iter().map(|arg| (arg.name.as_str(), self.get(&arg.name).unwrap_or_default())).collect()
    }

    /// Whether an ARG of this name was declared.
    pub(crate) fn declares(&self, name: &str) -> bool {
        self.declared(name).is_some()
    }

    /// The line of the ARG that declares `name`.
    pub(crate) fn declared(&self, name: &str) -> Option<&str> {
        self.args.iter().find(|arg| arg.name == name).map(|arg| arg.line.as_str())
    }
}

#[cfg(test)]
mod tests {
    use containerfile::{Instruction, parse};

    use super::*;

    /// Declares all ARGs and ENVs of a file in one stage, and gives the value of `X` at its end.
    fn value_of_x(text: &str, build_args: &[(&str, &str)], inherited: &[&str]) -> Option<String> {
        let source = Source::new("Containerfile", text);
        let file = parse(&source).unwrap();
        let build_args = build_args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let escape = Escape::default();
        let globals =
            Globals::new(&build_args, &Platform::host(), "default", &file.global_args, escape, &source)
                .unwrap();
        let inherited: Vec<_> = inherited.iter().map(|text| (*text).to_owned()).collect();
        let mut scope = Scope::of_image(&inherited);
        for statement in &file.stages[0].instructions {
            match &statement.instruction {
                Instruction::Arg(declarations) => {
                    for declaration in declarations {
                        scope.declare(declaration, &globals, escape, &source).unwrap();
                    }
                }
                Instruction::Env(pairs) => {
                    let before = scope.clone();
                    for pair in pairs {
                        let value = pair.value.expand(&|name| before.get(name), escape).unwrap().value;
                        scope.set(pair.key.text(), value);
                    }
                }
                _ => {}
            }
        }
        scope.get("X")
    }

    #[test]
    fn the_later_of_arg_and_env_wins() {
        let value = |text| value_of_x(text, &[("X", "cli")], &["X=base"]).unwrap();
        assert_eq!(value("FROM a"), "base");
        assert_eq!(value("FROM a\nARG X=def"), "cli");
        assert_eq!(value("FROM a\nARG X\nENV X=env"), "env");
        assert_eq!(value("FROM a\nENV X=env\nARG X"), "cli");
    }

    #[test]
    fn a_global_value_is_imported_by_naming_it() {
        assert_eq!(value_of_x("ARG X=global\nFROM a", &[], &[]), None);
        assert_eq!(value_of_x("ARG X=global\nFROM a\nARG X", &[], &[]).unwrap(), "global");
        assert_eq!(value_of_x("ARG X=global\nFROM a\nARG X=own", &[], &[]).unwrap(), "own");
        assert_eq!(value_of_x("ARG X=global\nFROM a\nARG X=own", &[("X", "cli")], &[]).unwrap(), "cli");
        assert_eq!(value_of_x("FROM a\nARG X", &[], &[]), None);
    }

    #[test]
    fn platform_arguments_wait_to_be_declared() {
        assert_eq!(value_of_x("FROM a\nENV X=$TARGETOS", &[], &[]).unwrap(), "");
        assert_eq!(value_of_x("FROM a\nARG TARGETOS\nENV X=$TARGETOS", &[], &[]).unwrap(), "linux");
        assert_eq!(value_of_x("FROM a\nARG TARGETOS=own\nENV X=$TARGETOS", &[], &[]).unwrap(), "own");
    }
}
