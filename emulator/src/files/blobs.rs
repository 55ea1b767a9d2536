//! The blobs that devices upload, each a file below one directory.
//!
//! What arrives is written to a part of its own first, so that a blob is there whole or not at all.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use tokio::io::AsyncWriteExt as _;

use super::block_list::Listed;
use super::path;

/// Azure's limit on the blocks that wait for their list.
const MAX_WAITING: usize = 100_000;

/// A blob that is there.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) modified: Timestamp,
    pub(crate) content_type: String,
}

/// What a writer asks of the blob that is there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Condition {
    /// `If-None-Match: *`: there must be none.
    pub(crate) absent: bool,
    /// `If-Match`
    pub(crate) etag: Option<String>,
}

/// Why a blob is not written.
#[derive(Debug)]
pub(crate) enum Unwritten {
    Exists,
    Condition,
    /// A block is not there.
    BlockList,
    /// A block's id has another length than those before it.
    BlockId,
    TooManyBlocks,
    /// A file cannot lie where another blob has a directory, nor the other way round.
    Name,
    File(io::Error),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
        match error.kind() {
            AlreadyExists | IsADirectory | NotADirectory => Self::Name,
            _ => Self::File(error),
        }
    }
}

/// A file that goes away unless it becomes a blob.
#[derive(Debug)]
pub(crate) struct Part {
    path: PathBuf,
    size: u64,
}

impl Drop for Part {
    fn drop(&mut self) {
        // It is not there where it has become a blob.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
pub(crate) struct Blobs {
    root: PathBuf,
    parts: PathBuf,
    number: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<String, Blob>,
    /// Blocks that no list has taken yet, by blob and id.
    blocks: HashMap<String, HashMap<String, Arc<Part>>>,
}

impl Blobs {
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        let parts = root.join(format!(".parts-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&parts)?;
        Ok(Self { root: root.to_owned(), parts, number: AtomicU64::new(0), state: Mutex::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, name: &str) -> Option<Blob> {
        self.state().blobs.get(name).cloned()
    }

    fn part(&self) -> Part {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        Part { path: self.parts.join(number.to_string()), size: 0 }
    }

    /// Writes what a request brings; nothing is left of one that ends early.
    pub(crate) async fn receive<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> io::Result<Part> {
        let mut part = self.part();
        let mut file = tokio::fs::File::create_new(&part.path).await?;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(io::Error::other)?;
            file.write_all(&chunk).await?;
            part.size += chunk.len() as u64;
        }
        file.flush().await?;
        Ok(part)
    }

    /// Makes a part the blob `name`; blocks that wait for a list are forgotten.
    pub(crate) fn put(
        &self,
        name: &str,
        part: &Part,
        content_type: &str,
        condition: &Condition,
    ) -> Result<Blob, Unwritten> {
        let relative = path::of_blob(name).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
        let path = self.root.join(relative);
        let mut state = self.state();
        let known = state.blobs.get(name);
        if condition.absent && known.is_some() {
            return Err(Unwritten::Exists);
        }
        if let Some(etag) = &condition.etag
            && !known.is_some_and(|blob| etag == "*" || *etag == blob.etag)
        {
            return Err(Unwritten::Condition);
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::rename(&part.path, &path)?;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let modified = Timestamp::now();
        let blob = Blob {
            path,
            size: part.size,
            etag: format!("\"0x{:08X}{number:08X}\"", modified.as_second()),
            modified,
            content_type: content_type.to_owned(),
        };
        state.blobs.insert(name.to_owned(), blob.clone());
        state.blocks.remove(name);
        Ok(blob)
    }

    /// Keeps a part as a block of the blob `name` until a list takes it.
    pub(crate) fn put_block(&self, name: &str, id: &str, part: Part) -> Result<(), Unwritten> {
        let mut state = self.state();
        let waiting: usize = state.blocks.values().map(HashMap::len).sum();
        if waiting >= MAX_WAITING {
            return Err(Unwritten::TooManyBlocks);
        }
        let blocks = state.blocks.entry(name.to_owned()).or_default();
        if blocks.keys().any(|known| known.len() != id.len()) {
            return Err(Unwritten::BlockId);
        }
        blocks.insert(id.to_owned(), Arc::new(part));
        Ok(())
    }

    /// Makes the blob `name` of blocks that wait.
    pub(crate) async fn put_list(
        &self,
        name: &str,
        list: &[Listed],
        content_type: &str,
        condition: &Condition,
    ) -> Result<Blob, Unwritten> {
        let found: Option<Vec<Arc<Part>>> = {
            let state = self.state();
            let blocks = state.blocks.get(name);
            let find = |listed: &Listed| blocks.filter(|_| listed.fresh)?.get(&listed.id).cloned();
            list.iter().map(find).collect()
        };
        let mut whole = self.part();
        let mut file = tokio::fs::File::create_new(&whole.path).await?;
        for block in found.ok_or(Unwritten::BlockList)? {
            let mut source = tokio::fs::File::open(&block.path).await?;
            whole.size += tokio::io::copy(&mut source, &mut file).await?;
        }
        file.flush().await?;
        self.put(name, &whole, content_type, condition)
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.parts);
    }
}
