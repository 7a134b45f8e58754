//! Requests as bytes, made before the run: making and signing them is not what is measured.

use std::thread;

/// Makes the request of a number, into the buffer.
pub(crate) trait Maker: Sync {
    fn make(&self, number: usize, into: &mut Vec<u8>) -> anyhow::Result<()>;
}

impl<F: Fn(usize, &mut Vec<u8>) -> anyhow::Result<()> + Sync> Maker for F {
    fn make(&self, number: usize, into: &mut Vec<u8>) -> anyhow::Result<()> {
        self(number, into)
    }
}

/// Many requests, in few allocations.
#[derive(Default)]
pub(crate) struct Magazine {
    parts: Vec<Part>,
    /// How many requests each part has; the last one may have fewer.
    part_length: usize,
}

#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Magazine {
    /// Makes the requests `first` to `first + count`, on all cores.
    pub(crate) fn fill(first: usize, count: usize, maker: &dyn Maker) -> anyhow::Result<Magazine> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let part_length = count.div_ceil(cores).max(1);
        let parts = thread::scope(|scope| {
            let starts = (0..count).step_by(part_length);
            let threads: Vec<_> = starts
                .map(|start| {
                    let numbers = first + start..first + (start + part_length).min(count);
                    scope.spawn(move || make_part(numbers, maker))
                })
                .collect();
            let joined = threads.into_iter().map(|thread| match thread.join() {
                Ok(part) => part,
                Err(_) => Err(anyhow::anyhow!("making requests panicked")),
            });
            joined.collect::<anyhow::Result<Vec<Part>>>()
        })?;
        Ok(Magazine { parts, part_length })
    }

    /// How many requests there are.
    pub(crate) fn count(&self) -> usize {
        self.parts.iter().map(|part| part.ends.len()).sum()
    }

    /// The request at this place.
    pub(crate) fn request(&self, index: usize) -> Option<&[u8]> {
        let part = self.parts.get(index.checked_div(self.part_length)?)?;
        let index = index % self.part_length;
        let begin = match index {
            0 => 0,
            _ => *part.ends.get(index - 1)?,
        };
        part.bytes.get(begin..*part.ends.get(index)?)
    }
}

fn make_part(numbers: std::ops::Range<usize>, maker: &dyn Maker) -> anyhow::Result<Part> {
    let mut part = Part::default();
    for number in numbers {
        maker.make(number, &mut part.bytes)?;
        part.ends.push(part.bytes.len());
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_back_in_order_and_end() {
        let maker = |number: usize, into: &mut Vec<u8>| {
            into.extend_from_slice(number.to_string().as_bytes());
            Ok(())
        };
        let magazine = Magazine::fill(8, 5, &maker).unwrap();
        let texts: Vec<&[u8]> = (0..).map_while(|index| magazine.request(index)).collect();
        let expected: [&[u8]; 5] = [b"8", b"9", b"10", b"11", b"12"];
        assert_eq!(texts, expected);
        assert!(Magazine::default().request(0).is_none());
    }
}
