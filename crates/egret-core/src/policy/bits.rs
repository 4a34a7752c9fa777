//! A set of small numbers.

use smallvec::SmallVec;

/// A set of numbers; a thousand of them take no memory of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bits {
    words: SmallVec<[u64; 16]>,
}

impl Bits {
    pub(super) fn set(&mut self, number: u32) {
        let word = (number / 64) as usize;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (number % 64);
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }

    /// The lowest number that is in the set and not below this one.
    pub(super) fn next(&self, from: u32) -> Option<u32> {
        let mut index = (from / 64) as usize;
        let mut word = self.words.get(index)? & (u64::MAX << (from % 64));
        loop {
            if word != 0 {
                return Some(u32::try_from(index).ok()? * 64 + word.trailing_zeros());
            }
            index += 1;
            word = *self.words.get(index)?;
        }
    }

    /// The numbers of both sets.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self { words: self.words.iter().zip(&other.words).map(|(one, other)| one & other).collect() }
    }

    /// Whether both sets have a number in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(one, other)| one & other != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_next_number() {
        let mut bits = Bits::default();
        for number in [0, 3, 64, 1000, 2047] {
            bits.set(number);
        }
        let all: Vec<u32> = std::iter::successors(bits.next(0), |last| bits.next(last + 1)).collect();
        assert_eq!(all, [0, 3, 64, 1000, 2047]);
        assert!(bits.has(1000) && !bits.has(999) && !bits.has(1 << 20));
        assert_eq!(bits.next(2048), None);
    }
}
