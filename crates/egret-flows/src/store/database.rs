//! Flows that survive a restart: one SQLite file. It holds what the ring holds and no more.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OpenFlags, params};

use super::Inner;
use super::bodies::Spill;
use crate::flow::{Body, BodyNote, Content, Flow, Side, Spilled};

/// The version of what is in the file. One that is of another is moved aside.
const SCHEMA: i64 = 1;

#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
    /// What is to be written: a flow, or `None` for one that is to be removed.
    changes: HashMap<u64, Option<Arc<Flow>>, foldhash::fast::RandomState>,
}

impl Database {
    /// Opens the file, or makes it, and gives the newest flows in it, oldest first. A file that cannot be read
    /// is moved aside: then there is a new one, and a sentence about it.
    pub(super) fn open(
        path: &Path,
        count: usize,
        spill: &Spill,
    ) -> io::Result<(Self, Vec<Flow>, Option<String>)> {
        let opened = Self::try_open(path).and_then(|database| Ok((database.load(count, spill)?, database)));
        match opened {
            Ok((flows, database)) => Ok((database, flows, None)),
            Err(problem) => {
                let aside = move_aside(path)?;
                let database = Self::try_open(path).map_err(|error| io::Error::other(error.to_string()))?;
                let warning = format!(
                    "the flows of before cannot be read: {} ({problem}); the file was moved to {} and the store begins empty; delete that file if nobody needs it",
                    path.display(),
                    aside.display()
                );
                Ok((database, Vec::new(), Some(warning)))
            }
        }
    }

    fn try_open(path: &Path) -> Result<Self, Problem> {
        // SQLite would make it readable for everybody.
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // After a crash of the machine the last second may be missing; after one of the program nothing is.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "secure_delete", "ON")?;
        let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if check != "ok" {
            return Err(Problem::Check(check));
        }
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != 0 && version != SCHEMA {
            return Err(Problem::Version(version));
        }
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS flows (
                seq INTEGER PRIMARY KEY,
                flow BLOB NOT NULL,
                request BLOB,
                response BLOB,
                request_file INTEGER,
                response_file INTEGER
            )",
        )?;
        connection.pragma_update(None, "user_version", SCHEMA)?;
        Ok(Self { connection, changes: HashMap::default() })
    }

    /// The newest flows of a file that another process may write to.
    pub(super) fn read(path: &Path, count: usize, spill: &Spill) -> Result<Vec<Flow>, Problem> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version != SCHEMA {
            return Err(Problem::Version(version));
        }
        Self { connection, changes: HashMap::default() }.load(count, spill)
    }

    /// The newest flows, oldest first. Rows that make no sense are skipped.
    fn load(&self, count: usize, spill: &Spill) -> Result<Vec<Flow>, Problem> {
        let mut statement = self.connection.prepare(
            "SELECT seq, flow, request, response, request_file, response_file
             FROM (SELECT * FROM flows ORDER BY seq DESC LIMIT ?1) ORDER BY seq",
        )?;
        let rows = statement.query_map([i64::try_from(count).unwrap_or(i64::MAX)], |row| {
            let bodies: [Option<Vec<u8>>; 2] = [row.get(2)?, row.get(3)?];
            let files: [Option<i64>; 2] = [row.get(4)?, row.get(5)?];
            Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?, bodies, files))
        })?;
        let mut flows = Vec::new();
        for row in rows {
            let (seq, json, bodies, files) = row?;
            let Ok(mut flow) = serde_json::from_slice::<Flow>(&json) else { continue };
            flow.seq = seq.cast_unsigned();
            flow.active = false;
            let response = flow.response.as_mut().map(|response| &mut response.body);
            let sides = [(Side::Request, Some(&mut flow.request.body)), (Side::Response, response)];
            for ((side, body), (bytes, file)) in sides.into_iter().zip(bodies.into_iter().zip(files)) {
                let Some(body) = body else { continue };
                restore(body, bytes, file.map(|_| spill.path(seq.cast_unsigned(), side)));
                if let Content::File(file) = &body.content {
                    spill.known(seq.cast_unsigned(), file.clone());
                }
            }
            flows.push(flow);
        }
        Ok(flows)
    }

    pub(super) fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Notes that a flow is new or another. One that goes on is not written.
    pub(super) fn changed(&mut self, flow: Arc<Flow>) {
        if !flow.active {
            self.changes.insert(flow.seq, Some(flow));
        }
    }

    /// Forgets what is noted: it cannot be written, and must not take all memory.
    pub(super) fn give_up(&mut self, most: usize) {
        if self.changes.len() > most {
            self.changes = HashMap::default();
        }
    }

    /// Notes that a flow is gone.
    pub(super) fn removed(&mut self, seq: u64) {
        self.changes.insert(seq, None);
    }

    /// Writes what is noted, all of it or nothing.
    pub(super) fn write(&mut self) -> Result<(), Problem> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        {
            let mut insert = transaction.prepare_cached(
                "INSERT OR REPLACE INTO flows (seq, flow, request, response, request_file, response_file)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            let mut delete = transaction.prepare_cached("DELETE FROM flows WHERE seq = ?1")?;
            for (seq, flow) in &self.changes {
                let seq = seq.cast_signed();
                let Some(flow) = flow else {
                    delete.execute([seq])?;
                    continue;
                };
                let json = serde_json::to_vec(&**flow)?;
                let body = |side| flow.body(side).map(|body| &body.content);
                let bytes = |side| match body(side) {
                    Some(Content::Memory(bytes)) => Some(&bytes[..]),
                    _ => None,
                };
                let file = |side| match body(side) {
                    Some(Content::File(file)) => Some(file.length.cast_signed()),
                    _ => None,
                };
                use Side::{Request, Response};
                insert.execute(params![
                    seq,
                    json,
                    bytes(Request),
                    bytes(Response),
                    file(Request),
                    file(Response)
                ])?;
            }
        }
        transaction.commit()?;
        self.connection.execute_batch("PRAGMA incremental_vacuum(1000)")?;
        self.changes.clear();
        Ok(())
    }
}

/// Gives a body of before its bytes.
fn restore(body: &mut Body, bytes: Option<Vec<u8>>, file: Option<PathBuf>) {
    body.content = match (bytes, file) {
        (Some(bytes), _) => Content::Memory(Bytes::from(bytes)),
        (None, Some(path)) => match fs::metadata(&path) {
            Ok(metadata) => Content::File(Arc::new(Spilled { path, length: metadata.len() })),
            Err(_) => {
                (body.captured, body.note) = (0, Some(BodyNote::Evicted));
                Content::None
            }
        },
        (None, None) => Content::None,
    };
}

/// Moves the file and those that SQLite keeps beside it, so that somebody can look at them.
fn move_aside(path: &Path) -> io::Result<PathBuf> {
    let named = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let aside = format!(".broken-{}", Inner::now() / 1_000_000);
    fs::rename(path, named(&aside))?;
    for suffix in ["-wal", "-shm"] {
        let _ = fs::rename(named(suffix), named(&format!("{aside}{suffix}")));
    }
    Ok(named(&aside))
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Problem {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("its check says: {0}")]
    Check(String),
    #[error("it was written by a program of another version ({0})")]
    Version(i64),
}
