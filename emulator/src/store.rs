//! What outlives the hub: devices and modules with their keys, twins, messages and sessions.
//!
//! One row of JSON for each identity in an embedded database, so that a row is always whole. The
//! broker marks who may have changed, and a thread of its own writes what has: the changes of one
//! moment together, each time durably. A hub that is killed loses what it did since the last time,
//! a few milliseconds; one that ends loses nothing.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use redb::{Database, DatabaseError, ReadableTable as _, TableDefinition};

use crate::error::StartError;
use crate::identity::Identity;
use crate::registry::{Entry, Session};
use crate::settings::Settings;

pub(crate) mod base64_text;
mod writer;

pub(crate) use writer::{Wake, Writer};

const FILE: &str = "hub.redb";
/// By `device` or `device/module`.
const IDENTITIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("identities");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("about");
const SCHEMA: u64 = 1;

/// Who, and what to write of it: nothing where it is gone.
type Row = (Identity, Option<Vec<u8>>);

#[derive(Debug)]
pub(crate) struct Store {
    /// Until this is dropped.
    database: Option<Database>,
    path: PathBuf,
    /// Whether an error of the disk has come, after which the database takes nothing more.
    broken: bool,
}

impl Store {
    /// Opens or makes the database in `dir`, which nobody else opens as long as this lives.
    pub(crate) fn open(dir: &Path) -> Result<Self, StartError> {
        let failed = |e: &dyn std::fmt::Display| StartError::new(format!("--state {}: {e}", dir.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| failed(&e))?;
        let path = dir.join(FILE);
        let opened = guarded(|| {
            let database = open(&path).map_err(|error| match error {
                OpenError::File(error) => error.to_string(),
                OpenError::Database(DatabaseError::DatabaseAlreadyOpen) => {
                    "another hub runs with it".to_owned()
                }
                OpenError::Database(other) => {
                    format!("{FILE} cannot be read ({other}): delete it to start anew")
                }
            })?;
            check_schema(&database)?;
            Ok(database)
        });
        let database = opened.map_err(|why| failed(&why))?;
        // What a hub left that was killed in [`Store::renew`].
        let _ = fs::remove_file(path.with_extension("new"));
        Ok(Self { database: Some(database), path, broken: false })
    }

    /// Everybody who was kept; modules whose device was not are left out, and taken out for good: a
    /// device of that name that comes later is another one.
    pub(crate) fn read(&mut self, settings: &Settings) -> Result<Vec<(Identity, Entry)>, StartError> {
        let place = self.path.display().to_string();
        let failed = |why: String| StartError::new(format!("--state {place}: {why}"));
        let mut kept: Vec<(Identity, Entry)> = Vec::new();
        let mut devices = HashSet::new();
        let mut strays: Vec<Row> = Vec::new();
        let each = |id: &str, row: &[u8]| {
            let mut entry: Entry = serde_json::from_slice(row)
                .map_err(|e| format!("{id} cannot be read ({e}): delete the file to start anew"))?;
            // The clients are gone, and with them what CleanSession 1 promised.
            if entry.session.stored {
                entry.queue.relock(Instant::now() + settings.c2d_lock);
            } else {
                entry.session = Session::default();
                entry.queue.unlock_all();
            }
            let identity = Identity::parse(id);
            match identity.module_id() {
                None => {
                    devices.insert(identity.device_id().to_owned());
                }
                Some(_) if devices.contains(identity.device_id()) => {}
                Some(_) => {
                    strays.push((identity, None));
                    return Ok(());
                }
            }
            kept.push((identity, entry));
            Ok(())
        };
        guarded(|| self.for_each(each)).map_err(failed)?;
        self.write(&strays).map_err(failed)?;
        Ok(kept)
    }

    /// In the order of the ids: a device comes before its modules.
    fn for_each(&self, mut each: impl FnMut(&str, &[u8]) -> Result<(), String>) -> Result<(), String> {
        let read = self.database()?.begin_read().map_err(text)?;
        let table = read.open_table(IDENTITIES).map_err(text)?;
        for row in table.iter().map_err(text)? {
            let (id, row) = row.map_err(text)?;
            each(id.value(), row.value())?;
        }
        Ok(())
    }

    /// Writes the new rows, and takes away those that are `None`, all or nothing. It is on the disk
    /// when this returns.
    fn write(&mut self, rows: &[Row]) -> Result<(), String> {
        let written = guarded(|| write(self.database()?, rows));
        self.broken |= written.is_err();
        written
    }

    /// Whether nothing can be written before [`Store::renew`].
    fn is_broken(&self) -> bool {
        self.broken
    }

    /// Puts a new database in the place of a broken one; `rows` gives everything that it is to hold.
    ///
    /// The old one is not opened again: where the disk is still full, that may ruin it.
    fn renew(&mut self, rows: impl FnOnce() -> Result<Vec<Row>, String>) -> Result<(), String> {
        let next = self.path.with_extension("new");
        let renewed = guarded(|| self.renew_by(&next, rows));
        if renewed.is_err() {
            // It takes room that is wanted, and the next one begins anew.
            let _ = fs::remove_file(&next);
        }
        renewed
    }

    fn renew_by(
        &mut self,
        next: &Path,
        rows: impl FnOnce() -> Result<Vec<Row>, String>,
    ) -> Result<(), String> {
        // One that a killed hub left.
        let _ = fs::remove_file(next);
        let database = open(next).map_err(|error| match error {
            OpenError::File(error) => error.to_string(),
            OpenError::Database(error) => error.to_string(),
        })?;
        check_schema(&database)?;
        write(&database, &rows()?)?;
        fs::rename(next, &self.path).map_err(|e| e.to_string())?;
        close(self.database.replace(database));
        self.broken = false;
        Ok(())
    }

    fn database(&self) -> Result<&Database, String> {
        self.database.as_ref().ok_or_else(|| "it is closed".to_owned())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        close(self.database.take());
    }
}

/// It writes a last time where it can.
fn close(database: Option<Database>) {
    let _ = guarded(|| {
        drop(database);
        Ok(())
    });
}

/// The database panics at some of what is wrong in its file; here that is an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let ruined = |_| Err(format!("{FILE} is ruined, and a new one is needed"));
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(ruined)
}

enum OpenError {
    File(std::io::Error),
    Database(DatabaseError),
}

/// Opens or makes a database, which nobody else opens as long as it lives.
fn open(path: &Path) -> Result<Database, OpenError> {
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    Database::builder().create_file(file.map_err(OpenError::File)?).map_err(OpenError::Database)
}

fn check_schema(database: &Database) -> Result<(), String> {
    let write = database.begin_write().map_err(text)?;
    {
        let mut about = write.open_table(ABOUT).map_err(text)?;
        let schema = about.get("schema").map_err(text)?.map(|value| value.value());
        match schema {
            None => about.insert("schema", SCHEMA).map(|_| ()).map_err(text)?,
            Some(SCHEMA) => {}
            Some(other) => {
                return Err(format!(
                    "{FILE} is of another version of this program ({other}, this one has {SCHEMA}): delete it to start anew"
                ));
            }
        }
        write.open_table(IDENTITIES).map_err(text)?;
    }
    write.commit().map_err(text)
}

fn write(database: &Database, rows: &[Row]) -> Result<(), String> {
    let write = database.begin_write().map_err(text)?;
    let mut changed = false;
    {
        let mut table = write.open_table(IDENTITIES).map_err(text)?;
        for (identity, row) in rows {
            let id = identity.to_string();
            changed |= match row {
                None => table.remove(id.as_str()).map_err(text)?.is_some(),
                Some(row) => {
                    let same =
                        table.get(id.as_str()).map_err(text)?.is_some_and(|known| known.value() == &row[..]);
                    if !same {
                        table.insert(id.as_str(), &row[..]).map_err(text)?;
                    }
                    !same
                }
            };
        }
    }
    match changed {
        true => write.commit().map_err(text),
        false => write.abort().map_err(text),
    }
}

fn text(error: impl Into<redb::Error>) -> String {
    error.into().to_string()
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
