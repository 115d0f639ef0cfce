//! Which stages are needed, and an order in which each comes after those that it needs.

use std::collections::{BTreeMap, BTreeSet};

/// Everything reachable from `target`.
pub(super) fn reachable(target: usize, needs: &BTreeMap<usize, BTreeSet<usize>>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut pending = vec![target];
    while let Some(index) = pending.pop() {
        if found.insert(index) {
            pending.extend(needs.get(&index).into_iter().flatten());
        }
    }
    found
}

/// The members of `wanted`, each after its needs, and in the order of the text where that leaves a choice.
///
/// Fails with a stage that needs itself, through others or not.
pub(super) fn ordered(
    wanted: &BTreeSet<usize>,
    needs: &BTreeMap<usize, BTreeSet<usize>>,
) -> Result<Vec<usize>, usize> {
    let of = |index: &usize| needs.get(index).into_iter().flatten().filter(|need| wanted.contains(need));
    let mut missing: BTreeMap<usize, usize> =
        wanted.iter().map(|index| (*index, of(index).count())).collect();
    let mut needed_by: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in wanted {
        for need in of(index) {
            needed_by.entry(*need).or_default().push(*index);
        }
    }
    let mut ready: BTreeSet<usize> =
        missing.iter().filter(|(_, count)| **count == 0).map(|(index, _)| *index).collect();
    let mut order = Vec::new();
    while let Some(index) = ready.pop_first() {
        missing.remove(&index);
        order.push(index);
        for waiting in needed_by.get(&index).into_iter().flatten() {
            if let Some(count) = missing.get_mut(waiting) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(*waiting);
                }
            }
        }
    }
    missing.into_keys().next().map_or(Ok(order), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(usize, usize)]) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut needs: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (index, need) in edges {
            needs.entry(*index).or_default().insert(*need);
        }
        needs
    }

    #[test]
    fn what_the_target_does_not_need_is_left_out() {
        assert_eq!(reachable(3, &graph(&[(3, 1), (1, 0), (2, 0)])), BTreeSet::from([0, 1, 3]));
    }

    #[test]
    fn each_comes_after_its_needs_and_else_in_the_order_of_the_text() {
        for (edges, expected) in [
            (&[(3_usize, 0_usize), (3, 2)] as &[_], Ok(vec![0, 1, 2, 3])),
            (&[(0, 2), (2, 3)], Ok(vec![1, 3, 2, 0])),
            (&[(1, 2), (2, 1)], Err(1)),
            (&[(0, 0)], Err(0)),
        ] {
            assert_eq!(ordered(&BTreeSet::from([0, 1, 2, 3]), &graph(edges)), expected, "{edges:?}");
        }
    }
}
