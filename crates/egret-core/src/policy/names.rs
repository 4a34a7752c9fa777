//! Many host names, looked up with all their suffixes at once.

use std::hash::BuildHasher;
use std::sync::LazyLock;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use smallvec::SmallVec;

/// One seed for all tables, so that the suffixes of a name are hashed once for all of them. It is another
/// one in each process.
static SEED: LazyLock<FixedState> = LazyLock::new(|| FixedState::with_seed(rand::random()));

/// A name with the hashes of itself and of its suffixes.
#[derive(Clone, Debug)]
pub(super) struct Suffixes<'a> {
    name: &'a str,
    /// Where each begins; the whole name first.
    starts: SmallVec<[(u8, u64); 8]>,
}

impl<'a> Suffixes<'a> {
    /// Of a name in normal form (lower case, without a trailing dot), of at most 253 bytes.
    pub(super) fn of(name: &'a str) -> Self {
        let mut starts = SmallVec::new();
        let mut push = |start: usize| {
            if let Ok(short) = u8::try_from(start) {
                starts.push((short, hash(&name[start..])));
            }
        };
        push(0);
        for dot in memchr::memchr_iter(b'.', name.as_bytes()) {
            push(dot + 1);
        }
        Self { name, starts }
    }

    /// How many there are.
    fn labels(&self) -> usize {
        self.starts.len()
    }
}

fn hash(name: &str) -> u64 {
    SEED.hash_one(name.as_bytes())
}

/// How many labels stand in front of what a pattern names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// None: the name itself.
    None,
    /// Exactly one.
    One,
    /// One or more.
    Some,
}

/// Names, numbered from 0 in the order in which they were added. A name takes its own bytes and about 15
/// more.
#[derive(Clone, Debug, Default)]
pub(super) struct NameTable {
    arena: String,
    ends: Vec<u32>,
    table: HashTable<u32>,
    /// Names with so many labels are there: bit n for n, the last bit for all above.
    labels: u32,
}

impl NameTable {
    /// Room for so many names of so many bytes in all.
    pub(super) fn with_capacity(names: usize, bytes: usize) -> Self {
        Self {
            arena: String::with_capacity(bytes),
            ends: Vec::with_capacity(names),
            table: HashTable::with_capacity(names),
            labels: 0,
        }
    }

    /// How many names there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.arena.capacity() + self.ends.capacity() * size_of::<u32>() + self.table.allocation_size()
    }

    /// Gives back what was reserved and not needed.
    pub(super) fn shrink(&mut self) {
        self.arena.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// The number of a name, which is added if it is new. `None`: four gigabytes of names are there.
    pub(super) fn insert(&mut self, name: &str) -> Option<u32> {
        let hash = hash(name);
        if let Some(number) = self.find(name, hash) {
            return Some(number);
        }
        let end = u32::try_from(self.arena.len() + name.len()).ok()?;
        let number = u32::try_from(self.ends.len()).ok()?;
        self.arena.push_str(name);
        self.ends.push(end);
        let Self { arena, ends, table, .. } = self;
        table.insert_unique(hash, number, |number| self::hash(text(arena, ends, *number)));
        self.labels |= label_bit(1 + memchr::memchr_iter(b'.', name.as_bytes()).count());
        Some(number)
    }

    fn find(&self, name: &str, hash: u64) -> Option<u32> {
        self.table.find(hash, |number| text(&self.arena, &self.ends, *number) == name).copied()
    }

    /// Calls for each suffix that is there, the name itself among them, with its number and how many
    /// labels stand in front of it, until told to stop. True: it was.
    pub(super) fn find_all(
        &self,
        suffixes: &Suffixes<'_>,
        mut found: impl FnMut(u32, usize) -> bool,
    ) -> bool {
        let labels = suffixes.labels();
        suffixes.starts.iter().enumerate().any(|(depth, (start, hash))| {
            self.labels & label_bit(labels - depth) != 0
                && self
                    .find(&suffixes.name[usize::from(*start)..], *hash)
                    .is_some_and(|number| found(number, depth))
        })
    }
}

fn label_bit(labels: usize) -> u32 {
    1 << labels.min(31)
}

fn text<'a>(arena: &'a str, ends: &[u32], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).map_or(0, |before| ends[before] as usize);
    &arena[start..ends[number] as usize]
}
