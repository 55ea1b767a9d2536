//! Files in TOML, whose errors have a line. What stands in that line may be a key and is not shown.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;

use crate::options::Pem;

pub(crate) struct File {
    path: PathBuf,
    text: String,
}

impl File {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { path: path.to_owned(), text })
    }

    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, String> {
        toml::from_str(&self.text)
            .map_err(|error| self.error(error.span().map_or(0, |span| span.start), error.message()))
    }

    /// The value, where `check` finds nothing wrong with it.
    pub(crate) fn checked<T>(
        &self,
        value: Spanned<T>,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<T, String> {
        let start = value.span().start;
        check(value.get_ref()).map_err(|rule| self.error(start, &rule))?;
        Ok(value.into_inner())
    }

    /// A path in the file is relative to the file's directory.
    pub(crate) fn resolve(&self, path: PathBuf) -> PathBuf {
        match self.path.parent() {
            Some(parent) => parent.join(path),
            None => path,
        }
    }

    pub(crate) fn resolve_pem(&self, pem: Pem) -> Pem {
        match pem {
            Pem::File(path) => Pem::File(self.resolve(path)),
            Pem::Text(text) => Pem::Text(text),
        }
    }

    /// A text for people; `at` is an offset in bytes.
    pub(crate) fn error(&self, at: usize, rule: &str) -> String {
        let before = self.text.as_bytes().iter().take(at);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        format!("{} line {line}: {rule}", self.path.display())
    }
}
