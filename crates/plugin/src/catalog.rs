//! Which plugins there are: the built-in ones, and those whose `plugin.json` is found in the
//! project, in `$SUPERMOE_PLUGIN_PATH` and in the user's config folder. Reading runs nothing.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, OnceLock};

use crate::manifest::{Launch, MANIFEST_FILE, Manifest, Variant};
use crate::manifest_check;
use crate::params::{ParamsSchema, SchemaError};

/// A manifest larger than this is refused.
const MANIFEST_LIMIT_BYTES: u64 = 4 << 20;

/// Makes the manifest of a built-in plugin when it is first looked at: most commands need few.
pub type LazyManifest = LazyLock<Manifest, Box<dyn FnOnce() -> Manifest + Send>>;

/// One plugin: its manifest and where that came from.
#[derive(Debug)]
pub struct PluginEntry {
    name: String,
    pub manifest: LazyManifest,
    /// The folder of an external plugin's `plugin.json`, absolute. `None`: built into the binary.
    pub folder: Option<PathBuf>,
    pub origin: Origin,
    params: OnceLock<Result<ParamsSchema, SchemaError>>,
}

/// Where a plugin comes from, in the order in which they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    BuiltIn,
    /// `plugins/*/plugin.json` in the project.
    Project,
    /// A folder named in `$SUPERMOE_PLUGIN_PATH`.
    PluginPath,
    /// `plugins/*/plugin.json` in the user's config folder.
    Config,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::BuiltIn => "built in",
            Origin::Project => "project",
            Origin::PluginPath => "SUPERMOE_PLUGIN_PATH",
            Origin::Config => "user config",
        })
    }
}

impl PluginEntry {
    /// `make` gives a manifest of that name.
    pub fn built_in(name: &str, make: impl FnOnce() -> Manifest + Send + 'static) -> Self {
        PluginEntry {
            name: name.to_owned(),
            manifest: LazyLock::new(Box::new(make)),
            folder: None,
            origin: Origin::BuiltIn,
            params: OnceLock::new(),
        }
    }

    pub fn external(manifest: Manifest, folder: PathBuf, origin: Origin) -> Self {
        PluginEntry {
            name: manifest.name.clone(),
            manifest: LazyLock::new(Box::new(move || manifest)),
            folder: Some(folder),
            origin,
            params: OnceLock::new(),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The manifest's schema of `with`, compiled once. Entries of a [`Catalog`] that were found
    /// by [`Catalog::discover`] always have one that compiles.
    pub fn params_schema(&self) -> Result<&ParamsSchema, &SchemaError> {
        self.params
            .get_or_init(|| match self.origin {
                Origin::BuiltIn => Ok(ParamsSchema::of_built_in(&self.manifest.params)),
                _ => ParamsSchema::new(&self.manifest.params),
            })
            .as_ref()
    }

    /// The program of this plugin's worker and its arguments. `own_program` is the running
    /// `supermoe` binary, which serves the built-ins; `shell_command` is the text of the param
    /// that a [`Launch::Shell`] manifest names, and is ignored for the others.
    ///
    /// Words that begin with `./` or `../` are taken from the plugin's folder.
    pub fn command(&self, own_program: &Path, shell_command: &str) -> Vec<OsString> {
        match &self.manifest.launch {
            Launch::BuiltIn => vec![
                own_program.into(),
                "worker".into(),
                self.name.clone().into(),
            ],
            Launch::Shell { .. } => vec!["sh".into(), "-euc".into(), shell_command.into()],
            Launch::Command(words) => words.iter().map(|word| self.resolve(word)).collect(),
        }
    }

    /// The plugin's own program file, where the manifest names one by `./` or `../` and it is
    /// not there: the plugin has to be built or the manifest corrected.
    pub fn missing_program(&self) -> Option<PathBuf> {
        let Launch::Command(words) = &self.manifest.launch else {
            return None;
        };
        let program = words.first().filter(|word| is_relative(word))?;
        let path = PathBuf::from(self.resolve(program));
        (!path.is_file()).then_some(path)
    }

    fn resolve(&self, word: &str) -> OsString {
        match &self.folder {
            Some(folder) if is_relative(word) => folder.join(word.trim_start_matches("./")).into(),
            _ => word.into(),
        }
    }
}

fn is_relative(word: &str) -> bool {
    word.starts_with("./") || word.starts_with("../")
}

/// A manifest that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogProblem {
    pub file: PathBuf,
    /// From 1, where the problem has a place in the file.
    pub line: Option<usize>,
    pub message: String,
    /// What to do.
    pub help: String,
}

impl fmt::Display for CatalogProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {} ({})", self.message, self.help)
    }
}

/// All plugins by name. Where a name is taken twice the first one found stays, in the order of
/// [`Origin`], and the other is reported.
#[derive(Debug, Default, Clone)]
pub struct Catalog {
    entries: BTreeMap<String, Arc<PluginEntry>>,
    /// Manifests that could not be used, by the name of their folder.
    broken: BTreeMap<String, PathBuf>,
}

impl Catalog {
    /// The plugins of the binary itself. Their manifests come from Rust types, so a broken one
    /// is a mistake in the program and is found by its tests ([`Catalog::problems_of_built_ins`]).
    pub fn built_ins(manifests: Vec<Manifest>) -> Self {
        Catalog::of(manifests.into_iter().map(|manifest| {
            let name = manifest.name.clone();
            PluginEntry::built_in(&name, move || manifest)
        }))
    }

    /// These plugins.
    pub fn of(plugins: impl IntoIterator<Item = PluginEntry>) -> Self {
        let entries = plugins.into_iter();
        Catalog {
            entries: entries
                .map(|entry| (entry.name.clone(), Arc::new(entry)))
                .collect(),
            broken: BTreeMap::new(),
        }
    }

    /// Adds the plugins found in `project`/plugins, in the folders of `plugin_path` (separated
    /// by `:`) and in `config`/plugins; each plugin is a folder with a `plugin.json`.
    /// Returns what is wrong with those that could not be added. Missing folders are passed over.
    pub fn discover(
        &mut self,
        project: &Path,
        plugin_path: Option<&OsStr>,
        config: Option<&Path>,
    ) -> Vec<CatalogProblem> {
        let mut places = vec![(project.join("plugins"), Origin::Project)];
        if let Some(folders) = plugin_path {
            places.extend(
                std::env::split_paths(folders)
                    .filter(|folder| !folder.as_os_str().is_empty())
                    .map(|folder| (project.join(folder), Origin::PluginPath)),
            );
        }
        places.extend(config.map(|folder| (folder.join("plugins"), Origin::Config)));

        let mut problems = Vec::new();
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for (folder, origin) in places {
            for file in manifest_files(&folder) {
                let real = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
                if !seen.insert(real) {
                    continue;
                }
                match read_manifest(&file, origin) {
                    Ok(read) => found.push((file, read)),
                    Err(broken) => problems.extend(broken),
                }
            }
        }
        for (file, read) in found {
            problems.extend(self.add(&file, read));
        }
        problems.extend(self.check_variants());
        for problem in &problems {
            let folder = problem.file.parent().and_then(Path::file_name);
            if let Some(name) = folder {
                let file = problem.file.strip_prefix(project);
                let file = file.unwrap_or(&problem.file).to_owned();
                self.broken
                    .entry(name.to_string_lossy().into_owned())
                    .or_insert(file);
            }
        }
        problems
    }

    /// Adds the plugin in `folder`, which may stand anywhere.
    pub fn add_folder(&mut self, folder: &Path) -> Result<Arc<PluginEntry>, Vec<CatalogProblem>> {
        let entry = read_folder(folder)?;
        let name = entry.name.clone();
        let read = ReadManifest {
            entry,
            text: String::new(),
        };
        match self.add(&folder.join(MANIFEST_FILE), read) {
            Some(problem) => Err(vec![problem]),
            None => Ok(Arc::clone(&self.entries[&name])),
        }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<PluginEntry>> {
        self.entries.get(name)
    }

    /// The manifest in a folder of this name that was found and could not be used, from the
    /// project's root where it lies in there.
    pub fn broken(&self, name: &str) -> Option<&Path> {
        self.broken.get(name).map(PathBuf::as_path)
    }

    /// The external plugin that stands in for `of` where its `param` has this `value`.
    pub fn variant(&self, of: &str, param: &str, value: &str) -> Option<&Arc<PluginEntry>> {
        self.variants()
            .find(|(variant, _)| {
                variant.of == of && variant.param == param && variant.value == value
            })
            .map(|(_, entry)| entry)
    }

    /// All external variants of a plugin, by name.
    pub fn variants_of<'a>(&'a self, of: &'a str) -> impl Iterator<Item = &'a Arc<PluginEntry>> {
        self.variants()
            .filter(move |(variant, _)| variant.of == of)
            .map(|(_, entry)| entry)
    }

    fn variants(&self) -> impl Iterator<Item = (&Variant, &Arc<PluginEntry>)> {
        self.entries
            .values()
            // A built-in plugin has its variants within itself.
            .filter(|entry| entry.origin != Origin::BuiltIn)
            .filter_map(|entry| Some((entry.manifest.variant.as_ref()?, entry)))
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// All plugins, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<PluginEntry>> {
        self.entries.values()
    }

    /// The name nearest to `name`, where one is near enough to be what was meant.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        crate::params::nearest(name, self.names())
    }

    /// What is wrong with the manifests of the built-in plugins; for a test of the binary.
    pub fn problems_of_built_ins(&self) -> Vec<CatalogProblem> {
        self.entries
            .values()
            .filter(|entry| entry.origin == Origin::BuiltIn)
            .flat_map(|entry| {
                let text = serde_json::to_string_pretty(&*entry.manifest).unwrap_or_default();
                let file = PathBuf::from(format!("built-in plugin {}", entry.name()));
                manifest_check::check(&entry.manifest, Origin::BuiltIn, &file, &text)
            })
            .collect()
    }

    fn add(&mut self, file: &Path, read: ReadManifest) -> Option<CatalogProblem> {
        let name = read.entry.name.clone();
        if let Some(taken) = self.entries.get(&name) {
            let by = match &taken.folder {
                Some(folder) => folder.join(MANIFEST_FILE).display().to_string(),
                None => "a built-in plugin".to_owned(),
            };
            return Some(CatalogProblem {
                file: file.to_owned(),
                line: crate::json_place::line_of(&read.text, &["name"]),
                message: format!("the name `{name}` is taken by {by}"),
                help: "give this plugin another name, or remove one of the two".to_owned(),
            });
        }
        self.entries.insert(name, Arc::new(read.entry));
        None
    }

    /// Variants of plugins that are not there, and two for the same value.
    fn check_variants(&mut self) -> Vec<CatalogProblem> {
        let mut problems = Vec::new();
        let mut removed = Vec::new();
        let mut taken = HashSet::new();
        for entry in self.entries.values() {
            let Some(folder) = &entry.folder else {
                continue;
            };
            let Some(variant) = &entry.manifest.variant else {
                continue;
            };
            let problem = match self.entries.get(&variant.of) {
                None => Some((
                    format!(
                        "it is a variant of `{}`, and there is no such plugin",
                        variant.of
                    ),
                    match self.nearest(&variant.of) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "name one that `supermoe plugins` lists".to_owned(),
                    },
                )),
                Some(of) if has_built_in_variant(&of.manifest, &variant.param, &variant.value) => {
                    Some((
                        format!(
                            "`{}` has a built-in variant for {}: {}",
                            variant.of, variant.param, variant.value
                        ),
                        "choose another value".to_owned(),
                    ))
                }
                Some(_) if !taken.insert((&variant.of, &variant.param, &variant.value)) => Some((
                    format!(
                        "another plugin is already the variant of `{}` for {}: {}",
                        variant.of, variant.param, variant.value
                    ),
                    "choose another value, or remove one of the two".to_owned(),
                )),
                Some(_) => None,
            };
            if let Some((message, help)) = problem {
                let file = folder.join(MANIFEST_FILE);
                let text = fs::read_to_string(&file).unwrap_or_default();
                problems.push(CatalogProblem {
                    line: crate::json_place::line_of(&text, &["variant"]),
                    file,
                    message,
                    help,
                });
                removed.push(entry.name.clone());
            }
        }
        for name in removed {
            self.entries.remove(&name);
        }
        problems
    }
}

fn has_built_in_variant(manifest: &Manifest, param: &str, value: &str) -> bool {
    manifest
        .variants
        .as_ref()
        .is_some_and(|variants| variants.param == param && variants.values.contains_key(value))
}

/// Reads the plugin in `folder`, which may stand anywhere; for `plugin test`.
pub fn read_folder(folder: &Path) -> Result<PluginEntry, Vec<CatalogProblem>> {
    read_manifest(&folder.join(MANIFEST_FILE), Origin::Project).map(|read| read.entry)
}

#[derive(Debug)]
struct ReadManifest {
    entry: PluginEntry,
    text: String,
}

/// `folder`/*/plugin.json, sorted by name. A folder that cannot be read holds no plugins.
fn manifest_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = listing
        .filter_map(Result::ok)
        .map(|item| item.path().join(MANIFEST_FILE))
        .filter(|file| fs::symlink_metadata(file).is_ok())
        .collect();
    files.sort();
    files
}

fn read_manifest(file: &Path, origin: Origin) -> Result<ReadManifest, Vec<CatalogProblem>> {
    let unreadable = |message: String, help: &str| {
        vec![CatalogProblem {
            file: file.to_owned(),
            line: None,
            message,
            help: help.to_owned(),
        }]
    };
    // A named pipe would be waited on for ever.
    let metadata = fs::metadata(file).map_err(|error| {
        unreadable(
            format!("it cannot be read: {error}"),
            "a plugin is a folder with a plugin.json",
        )
    })?;
    if !metadata.is_file() || metadata.len() > MANIFEST_LIMIT_BYTES {
        return Err(unreadable(
            format!("it is not a file of at most {MANIFEST_LIMIT_BYTES} bytes"),
            "write the manifest as a JSON text file",
        ));
    }
    let text = fs::read_to_string(file).map_err(|error| {
        unreadable(
            format!("it cannot be read: {error}"),
            "it has to be a JSON text in UTF-8",
        )
    })?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let folder = fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let manifest = manifest_check::parse(&text, file).map_err(|problem| vec![problem])?;
    let problems = manifest_check::check(&manifest, origin, file, &text);
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(ReadManifest {
        entry: PluginEntry::external(manifest, folder, origin),
        text,
    })
}
