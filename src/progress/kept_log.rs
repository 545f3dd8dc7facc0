//! The part of a node's log that a run's journal keeps: the first lines, the last ones, and how many lie between.

use std::collections::VecDeque;

/// Lines that are kept from the begin, and from the end.
const FIRST: usize = 200;
const LAST: usize = 200;

/// The lines of one node, of whatever form.
#[derive(Debug)]
pub struct KeptLog<T> {
    first: usize,
    last: VecDeque<T>,
    left_out: u64,
}

impl<T> Default for KeptLog<T> {
    fn default() -> Self {
        KeptLog { first: 0, last: VecDeque::new(), left_out: 0 }
    }
}

impl<T> KeptLog<T> {
    /// Takes one line. Gives it back where it is one of the first, which are kept at once.
    pub fn take(&mut self, line: T) -> Option<T> {
        if self.first < FIRST {
            self.first += 1;
            return Some(line);
        }
        if self.last.len() == LAST {
            self.last.pop_front();
            self.left_out += 1;
        }
        self.last.push_back(line);
        None
    }

    /// At the end: how many lines were left out, then the last ones.
    pub fn end(self) -> (u64, VecDeque<T>) {
        (self.left_out, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_lines_are_kept_and_the_others_counted() {
        let mut log = KeptLog::default();
        let at_once: Vec<u32> = (0..1000).filter_map(|line| log.take(line)).collect();
        assert_eq!(at_once, (0..200).collect::<Vec<_>>());
        let (left_out, last) = log.end();
        assert_eq!((left_out, last), (600, (800..1000).collect()));
        let mut short = KeptLog::default();
        let at_once: Vec<u32> = (0..300).filter_map(|line| short.take(line)).collect();
        assert_eq!((at_once.len(), short.end()), (200, (0, (200..300).collect())));
    }
}
