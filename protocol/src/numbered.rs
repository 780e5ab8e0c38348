//! What is kept of the URBs of a lane, by their numbers.

use std::collections::VecDeque;

/// Values by ascending numbers.
///
/// They are put in in order, and mostly taken out in that order, too: a queue is all it takes, and unlike a tree it needs no
/// memory for each value. Whoever owns it bounds it.
#[derive(Debug)]
pub(crate) struct Numbered<T>(VecDeque<(u64, T)>);

impl<T> Numbered<T> {
    pub(crate) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// Puts in a value with a number greater than all before.
    pub(crate) fn push(&mut self, number: u64, value: T) {
        debug_assert!(self.0.back().is_none_or(|(last, _)| *last < number));
        self.0.push_back((number, value));
    }

    /// Takes out the value with that number.
    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let at = self.find(number)?;
        self.0.remove(at).map(|(_, value)| value)
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.0.get(self.find(number)?).map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let at = self.find(number)?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    fn find(&self, number: u64) -> Option<usize> {
        // The oldest is the one that is asked for most of the time.
        if self.0.front()?.0 == number {
            return Some(0);
        }
        self.0.binary_search_by_key(&number, |(number, _)| *number).ok()
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, &T)> {
        self.0.iter().map(|(number, value)| (*number, value))
    }

    /// Those with greater numbers than that, in order.
    pub(crate) fn after(&self, number: u64) -> impl ExactSizeIterator<Item = (u64, &T)> {
        let from = self.0.partition_point(|(other, _)| *other <= number);
        self.0.range(from..).map(|(number, value)| (*number, value))
    }

    /// Takes out all, in order.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.0.drain(..).map(|(_, value)| value)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((any::<bool>(), 1..4_u64, 0..40_u64), 0..200)) {
            let (mut numbered, mut map) = (Numbered::new(), BTreeMap::new());
            let mut last = 0;
            for (push, gap, other) in steps {
                if push {
                    last += gap;
                    numbered.push(last, other);
                    map.insert(last, other);
                } else {
                    prop_assert_eq!(numbered.remove(other), map.remove(&other));
                }
                prop_assert_eq!(numbered.len(), map.len());
                prop_assert_eq!(numbered.get(other), map.get(&other));
                prop_assert_eq!(numbered.get_mut(last), map.get_mut(&last));
                prop_assert!(numbered.iter().eq(map.iter().map(|(number, value)| (*number, value))));
                prop_assert!(numbered.after(other).eq(map.range(other + 1..).map(|(number, value)| (*number, value))));
            }
            prop_assert!(numbered.drain().eq(map.into_values()));
        }
    }
}
