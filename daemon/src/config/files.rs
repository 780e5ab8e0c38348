//! Where settings are read from: the file itself, then each `*.toml` of the folder beside it, in the order of their names.
//!
//! What a later file says of a key counts; an array of tables goes on where the earlier one ended. All files are one text
//! to the reader of settings, so that whatever is wrong is known by its file and line, in whichever room it is found.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize as _;
use toml::{
    Spanned,
    de::{DeTable, DeValue, Deserializer},
};

use super::Config;

/// How alike a key must be to one that exists to be taken for a misspelling of it, from 0 to 1: what clap asks of options.
const ALIKE: f64 = 0.8;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file can't be read.
    #[error("{} can't be read: {source}", path.display())]
    Read {
        /// The file, or the folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be understood.
    #[error("{}, line {line}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Where settings come from.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    required: bool,
}

/// What was read.
#[derive(Debug)]
pub struct Loaded {
    /// All settings.
    pub config: Config,
    /// The files in which they are, in the order in which they count.
    pub files: Vec<PathBuf>,
}

impl Source {
    /// This file, which may be missing unless it is `required`, and the folder of the same name with `.d` for its end.
    pub fn new(path: impl Into<PathBuf>, required: bool) -> Self {
        Self { path: path.into(), required }
    }

    /// Reads all settings.
    pub fn read(&self) -> Result<Loaded, ConfigError> {
        let texts = self.texts()?;
        let mut merged = DeTable::new();
        for text in &texts {
            let table = DeTable::parse(&text.text).map_err(|error| text.wrong(&error, 0))?;
            merge(&mut merged, shifted(table.into_inner(), text.start));
        }
        let mut config = Config::deserialize(Deserializer::from(Spanned::new(0..0, merged))).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            // There is one, or nothing could be wrong in it.
            match texts.iter().rev().find(|text| text.start <= at) {
                Some(text) => text.wrong(&error, text.start),
                None => ConfigError::Wrong { path: self.path.clone(), line: 1, problem: problem(error.message()) },
            }
        })?;
        config.rules.name_places(|at| match texts.iter().rev().find(|text| text.start <= at) {
            Some(text) => format!("{}, line {}", text.path.display(), text.line(at - text.start)),
            None => String::new(),
        });
        Ok(Loaded { config, files: texts.into_iter().map(|text| text.path).collect() })
    }

    fn texts(&self) -> Result<Vec<Text>, ConfigError> {
        let mut paths = folder(&self.path.with_extension("d"))?;
        if self.required || self.path.exists() {
            paths.insert(0, self.path.clone());
        }
        let mut texts: Vec<Text> = Vec::with_capacity(paths.len());
        for path in paths {
            let text = fs::read_to_string(&path).map_err(|source| ConfigError::Read { path: path.clone(), source })?;
            // Its end is a place of its own, too.
            let start = texts.last().map_or(0, |before| before.start + before.text.len() + 1);
            texts.push(Text { path, start, text });
        }
        Ok(texts)
    }
}

/// The files of a folder that may be missing.
fn folder(path: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let error = |source| ConfigError::Read { path: path.to_owned(), source };
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(error)?;
        let name = entry.file_name();
        // What editors leave behind begins with a dot, or ends otherwise.
        if name.to_str().is_some_and(|name| name.ends_with(".toml") && !name.starts_with('.')) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// One file, and where it begins when all files are one text.
#[derive(Debug)]
struct Text {
    path: PathBuf,
    start: usize,
    text: String,
}

impl Text {
    /// What is wrong with it; the error counts from `origin`.
    fn wrong(&self, error: &toml::de::Error, origin: usize) -> ConfigError {
        let at = error.span().map_or(0, |span| span.start.saturating_sub(origin)).min(self.text.len());
        ConfigError::Wrong { path: self.path.clone(), line: self.line(at), problem: problem(error.message()) }
    }

    /// The line, from 1, in which that byte is.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}

/// What serde says, in one line, and the name that was probably meant: it writes the one that was found and those that
/// there are between backticks.
fn problem(message: &str) -> String {
    let line = message.lines().collect::<Vec<_>>().join(" ");
    let mut names = line.split('`').skip(1).step_by(2);
    let found = names.next().filter(|_| line.starts_with("unknown "));
    let near = found.and_then(|found| {
        let alike = names.map(|name| (strsim::jaro_winkler(found, name), name));
        alike.filter(|(alike, _)| *alike > ALIKE).max_by(|a, b| a.0.total_cmp(&b.0))
    });
    match near {
        Some((_, name)) => format!("{line}; did you mean `{name}`?"),
        None => line,
    }
}

/// The same table, `by` bytes further on.
fn shifted(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    table
        .into_iter()
        .map(|(key, value)| (shift(key, by, |key| key), shift(value, by, |v| shifted_value(v, by))))
        .collect()
}

fn shifted_value(value: DeValue<'_>, by: usize) -> DeValue<'_> {
    match value {
        DeValue::Table(table) => DeValue::Table(shifted(table, by)),
        DeValue::Array(array) => {
            DeValue::Array(array.into_iter().map(|value| shift(value, by, |v| shifted_value(v, by))).collect())
        }
        other => other,
    }
}

fn shift<T>(spanned: Spanned<T>, by: usize, inside: impl FnOnce(T) -> T) -> Spanned<T> {
    let span = spanned.span();
    Spanned::new(span.start + by..span.end + by, inside(spanned.into_inner()))
}

/// What a later file says, over what earlier ones have said.
fn merge<'i>(earlier: &mut DeTable<'i>, later: DeTable<'i>) {
    for (key, value) in later {
        match earlier.get_mut(&key) {
            Some(old) => replace(old, value),
            None => drop(earlier.insert(key, value)),
        }
    }
}

fn replace<'i>(old: &mut Spanned<DeValue<'i>>, new: Spanned<DeValue<'i>>) {
    let span = new.span();
    let joined = match (std::mem::replace(old.get_mut(), DeValue::Boolean(false)), new.into_inner()) {
        (DeValue::Table(mut earlier), DeValue::Table(later)) => {
            merge(&mut earlier, later);
            DeValue::Table(earlier)
        }
        (DeValue::Array(earlier), DeValue::Array(later)) if of_tables(&earlier) && of_tables(&later) => {
            DeValue::Array(earlier.into_iter().chain(later).collect())
        }
        (_, later) => later,
    };
    *old = Spanned::new(span, joined);
}

fn of_tables(array: &[Spanned<DeValue<'_>>]) -> bool {
    !array.is_empty() && array.iter().all(|value| value.get_ref().is_table())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Relay, policy::Attributes};

    /// A folder with these files: `p2pusb.toml`, and the others below `p2pusb.d`.
    fn files(files: &[(&str, &str)]) -> (tempfile::TempDir, Source) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("p2pusb.d")).unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let source = Source::new(folder.path().join("p2pusb.toml"), false);
        (folder, source)
    }

    /// What is wrong, with the path of the temporary folder taken away.
    fn wrong(texts: &[(&str, &str)]) -> String {
        let (folder, source) = files(texts);
        let error = source.read().unwrap_err().to_string();
        error.replace(&format!("{}/", folder.path().display()), "")
    }

    #[test]
    fn nothing_at_all_is_the_defaults_unless_the_file_was_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p2pusb.toml");
        let loaded = Source::new(&path, false).read().unwrap();
        assert_eq!((loaded.config, loaded.files.len()), (Config::default(), 0));
        let error = Source::new(&path, true).read().unwrap_err();
        assert!(matches!(&error, ConfigError::Read { path: named, .. } if *named == path), "{error}");
    }

    #[test]
    fn later_files_count_key_by_key() {
        let (folder, source) = files(&[
            (
                "p2pusb.toml",
                "[network]\nrelay = \"public\"\nbind = [\"127.0.0.1:1\", \"[::1]:1\"]\n[session]\ngrace = 1",
            ),
            ("p2pusb.d/20-b.toml", "session.grace = 3"),
            ("p2pusb.d/10-a.toml", "[session]\ngrace = 2\n[network]\nbind = [\"127.0.0.1:2\"]"),
            ("p2pusb.d/.hidden.toml", "nonsense"),
            ("p2pusb.d/30-c.toml~", "nonsense"),
        ]);
        let loaded = source.read().unwrap();
        assert_eq!(loaded.config.session.grace.seconds(), 3);
        assert_eq!(loaded.config.network.relay, Relay::Public);
        assert_eq!(loaded.config.network.bind, ["127.0.0.1:2".parse().unwrap()]);
        let names = ["p2pusb.toml", "p2pusb.d/10-a.toml", "p2pusb.d/20-b.toml"];
        assert_eq!(loaded.files, names.map(|name| folder.path().join(name)));
    }

    #[test]
    fn arrays_of_tables_go_on_and_other_arrays_begin_anew() {
        let merged = |first: &'static str, second: &'static str| {
            let mut table = DeTable::parse(first).unwrap().into_inner();
            merge(&mut table, DeTable::parse(second).unwrap().into_inner());
            format!("{}", toml::Table::deserialize(Deserializer::from(Spanned::new(0..0, table))).unwrap())
        };
        assert_eq!(
            merged("[[rule]]\na = 1", "[[rule]]\na = 2\n[[rule]]\na = 3"),
            merged("", "rule = [{a=1},{a=2},{a=3}]")
        );
        assert_eq!(merged("x = [1, 2]", "x = [3]"), merged("", "x = [3]"));
        assert_eq!(merged("[[rule]]\na = 1", "rule = []"), merged("", "rule = []"));
    }

    #[test]
    fn a_rule_is_known_by_its_file_and_line() {
        let never = "[[rule]]\naction = \"never-share\"\nid = ";
        let (folder, source) = files(&[
            ("p2pusb.toml", &format!("# mine\n{never}\"0001:*\"\n\n{never}\"0002:*\"\n")),
            ("p2pusb.d/a.toml", &format!("\n\n\n{never}\"0003:*\"")),
        ]);
        let rules = source.read().unwrap().config.rules;
        for (vendor, place) in [(1, "p2pusb.toml, line 2"), (2, "p2pusb.toml, line 6"), (3, "p2pusb.d/a.toml, line 4")]
        {
            let device = Attributes { id: (vendor, 0), serial: None, name: "", port: "1-1", interfaces: &[] };
            assert_eq!(rules.about(&device).unwrap().place, folder.path().join(place).display().to_string());
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_file_line_and_what_would_be_right() {
        let main = ("p2pusb.toml", "# nothing\n\n[session]\ngrace = 5\n");
        for (text, expected) in [
            (
                "[network]\nrely = \"none\"",
                "line 2: unknown field `rely`, expected one of `relay`, `relay-ca`, `relay-quic-port`, `mdns`, `bind`; did you mean `relay`?",
            ),
            (
                "\n[netwrok]",
                "line 2: unknown field `netwrok`, expected one of `network`, `session`, `attach`, `rule`; did you mean `network`?",
            ),
            ("[session]\n\n\ngrace = 3601", "line 4: 3601 is no grace time: it is a number of seconds from 0 to 3600"),
            (
                "[session]\ngrace = \"long\"",
                "line 2: \"long\" is no grace time: it is a number of seconds from 0 to 3600",
            ),
            (
                "[network]\nrelay = \"nowhere\"",
                "line 2: “nowhere” is no relay: write \"none\", \"public\" or \"https://…\"",
            ),
            ("[session]\n[session]", "line 2: duplicate key"),
            ("[session]\nunits = 5", "line 2: unknown field `units`, expected `grace`"),
        ] {
            assert_eq!(wrong(&[main, ("p2pusb.d/a.toml", text)]), format!("p2pusb.d/a.toml, {expected}"));
        }
        // The one that is wrong is named, not the one that is read last.
        let error =
            wrong(&[("p2pusb.toml", "[session]\ngrace = -1"), ("p2pusb.d/a.toml", "[network]\nrelay = \"none\"")]);
        assert_eq!(error, "p2pusb.toml, line 2: -1 is no grace time: it is a number of seconds from 0 to 3600");
    }

    #[test]
    fn a_file_that_is_no_text_and_a_folder_that_is_none_are_errors() {
        let (folder, source) = files(&[]);
        fs::write(folder.path().join("p2pusb.d/a.toml"), b"\xff").unwrap();
        assert!(source.read().unwrap_err().to_string().contains("a.toml can't be read"));
        fs::remove_dir_all(folder.path().join("p2pusb.d")).unwrap();
        fs::write(folder.path().join("p2pusb.d"), "").unwrap();
        assert!(source.read().unwrap_err().to_string().contains("p2pusb.d can't be read"));
    }
}
