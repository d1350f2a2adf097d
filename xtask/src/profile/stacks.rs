//! From perf's text to a tree of calls.

use std::collections::BTreeMap;

/// A function in the tree, by who called it; the root is everything.
#[derive(PartialEq, Eq, Default, Debug)]
pub(super) struct Frame {
    /// Samples taken in it or in what it called.
    pub(super) samples: u64,
    /// What it called, by name.
    pub(super) callees: BTreeMap<String, Self>,
}

/// How often a function was met.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Count {
    /// In itself.
    pub(super) own: u64,
    /// In itself or in what it called; recursion counts once.
    pub(super) total: u64,
}

/// Reads what `perf script -F comm,ip,sym` prints: for each sample the thread's name, then the stack, innermost first,
/// then an empty line.
pub(super) fn parse(text: &str) -> Frame {
    let mut root = Frame::default();
    for sample in text.split("\n\n") {
        let mut lines = sample.lines().filter(|line| !line.trim().is_empty());
        let Some(thread) = lines.next() else { continue };
        let stack: Vec<_> = lines.map(function).collect();
        if stack.is_empty() {
            continue;
        }
        root.samples += 1;
        let mut frame = &mut root;
        for name in std::iter::once(thread.trim().to_owned()).chain(stack.into_iter().rev()) {
            frame = frame.callees.entry(name).or_default();
            frame.samples += 1;
        }
    }
    root
}

/// All functions below the root, threads left out.
pub(super) fn functions(root: &Frame) -> BTreeMap<String, Count> {
    let mut counts = BTreeMap::new();
    for thread in root.callees.values() {
        count(thread, &mut Vec::new(), &mut counts);
    }
    counts
}

fn count<'a>(caller: &'a Frame, callers: &mut Vec<&'a str>, counts: &mut BTreeMap<String, Count>) {
    for (name, frame) in &caller.callees {
        let entry = counts.entry(name.clone()).or_default();
        entry.own += frame.samples - frame.callees.values().map(|callee| callee.samples).sum::<u64>();
        if !callers.contains(&name.as_str()) {
            entry.total += frame.samples;
        }
        callers.push(name);
        count(frame, callers, counts);
        callers.pop();
    }
}

/// The name in a line of address and symbol: without the hash that Rust may append, and marked if it is the kernel's.
fn function(line: &str) -> String {
    let line = line.trim();
    let (address, name) = line.split_once(' ').unwrap_or((line, "[unknown]"));
    let name = match name.trim().rsplit_once("::h") {
        Some((plain, hash)) if hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()) => plain,
        _ => name.trim(),
    };
    // The upper half of the address space.
    let kernel = address.len() == 16 && address.starts_with("ffff");
    format!("{name}{}", if kernel { KERNEL } else { "" })
}

/// Behind the name of a function of the kernel.
pub(super) const KERNEL: &str = " [k]";

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "tun thread \n\t    55d1 seal::h0123456789abcdef\n\t    55d0 run\n\n\
                        tun thread \n\t    55d9 memcpy\n\t    55d1 seal::h0123456789abcdef\n\t    55d0 run\n\n\
                        udp \n\tffffffff81000000 read\n\t    0 [unknown]\n\n";

    #[test]
    fn samples_of_one_way_through_the_code_are_added_up() {
        let root = parse(TEXT);

        assert_eq!(root.samples, 3);
        let seal = &root.callees["tun thread"].callees["run"].callees["seal"];
        assert_eq!(seal.samples, 2);
        assert_eq!(seal.callees["memcpy"].samples, 1);
        assert_eq!(root.callees["udp"].callees["[unknown]"].callees["read [k]"].samples, 1);
    }

    #[test]
    fn a_function_is_told_apart_from_what_it_calls() {
        let counts = functions(&parse(TEXT));

        assert_eq!(counts["seal"], Count { own: 1, total: 2 });
        assert_eq!(counts["run"], Count { own: 0, total: 2 });
    }

    #[test]
    fn a_function_that_calls_itself_is_counted_once_a_sample() {
        let counts = functions(&parse("t\n\t1 again\n\t2 again\n\t3 main\n\n"));

        assert_eq!(counts["again"], Count { own: 1, total: 1 });
    }
}
