//! The sizes of the settlements that `settle` and `stage` make, and what is won and lost in them.
//! How they are posted is theirs.

use crate::arguments::Bench;

/// The shape of a settlement: a transfer is one connection in one currency.
pub(super) struct Shape {
    pub(super) connections: usize,
    pub(super) currencies: usize,
    /// How many requests are on their way at the same time.
    pub(super) at_once: usize,
    /// How many of them are made in a run.
    pub(super) count: usize,
}

impl Shape {
    /// 10, 1 000 and 50 000 transfers, and how many settlements of each.
    pub(super) fn all(bench: &Bench, counts: [usize; 3]) -> Vec<Shape> {
        let shape = |connections, currencies, at_once, count| Shape {
            connections,
            currencies,
            at_once,
            count,
        };
        let [small, middle, large] = counts;
        match bench.quick {
            true => vec![shape(10, 1, 4, 20), shape(20, 5, 1, 4)],
            false => vec![
                shape(10, 1, 16, small),
                shape(100, 10, 4, middle),
                shape(1_000, 50, 1, large),
            ],
        }
    }

    /// How many connections and how many currencies there must be for all of them.
    pub(super) fn ground(shapes: &[Shape]) -> (usize, usize) {
        let most = |of: fn(&Shape) -> usize| shapes.iter().map(of).max().unwrap_or(1);
        (most(|s| s.connections), most(|s| s.currencies))
    }

    pub(super) fn transfers(&self) -> usize {
        self.connections * self.currencies
    }
}

/// What everybody wins in the settlement of that number. The first gives everybody something to
/// lose, whatever order the others come in; they win and lose the same in turn.
pub(super) fn quantity(number: usize) -> &'static str {
    match number {
        0 => "1000000000",
        _ if number.is_multiple_of(2) => "1000",
        _ => "-1000",
    }
}
