//! Where services and edges are drawn: columns by distance from where requests come in.

use std::collections::{BTreeMap, VecDeque};

use observer_core::judged::Rate;
use observer_core::judged::counts::Name;
use serde::Serialize;

use super::super::model::Report;

/// Boxes that are drawn, at most; the worst edges' come first.
const NODES: usize = 300;

/// Boxes in one column, at most; more go into a further one.
const ROWS: usize = 36;

const WIDTH: u32 = 170;
const HEIGHT: u32 = 28;
const COLUMN: u32 = 260;
const ROW: u32 = 44;
const MARGIN: u32 = 24;

/// Rates are written at edges if there are no more of them that lose context.
const LABELS: usize = 16;

/// Characters of a name that fit a box.
const LETTERS: usize = 21;

/// A drawing; lengths are pixels.
#[derive(Debug, Serialize)]
pub(super) struct Graph {
    pub width: u32,
    pub height: u32,
    pub nodes: Vec<Node>,
    pub edges: Vec<Line>,
    /// Peers that are not drawn.
    pub left_out: usize,
}

/// A box.
#[derive(Debug, Serialize)]
pub(super) struct Node {
    pub x: u32,
    pub y: u32,
    pub label: String,
    pub name: String,
    /// Its card, if it is a service.
    pub card: Option<usize>,
    pub number: usize,
    /// How bad its edges are.
    pub class: &'static str,
}

/// A curve from box to box.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub path: String,
    pub class: &'static str,
    pub from: usize,
    pub to: usize,
    pub title: String,
    /// The rate, written at its middle.
    pub label: Option<String>,
    pub x: u32,
    pub y: u32,
}

/// How much is lost, in steps that can be told without colour.
pub(super) fn class(loss: Rate) -> &'static str {
    match loss {
        Rate { n: 0, .. } => "unknown",
        Rate { hits: 0, .. } => "none",
        Rate { rate, .. } if rate < 0.01 => "few",
        Rate { rate, .. } if rate < 0.1 => "some",
        _ => "many",
    }
}

/// The drawing of a report.
pub(super) fn graph(report: &Report) -> Graph {
    let (names, left_out) = names(report);
    let numbers: BTreeMap<&Name, usize> = names
        .iter()
        .enumerate()
        .map(|(n, name)| (*name, n))
        .collect();
    let ends: Vec<Option<(usize, usize)>> = report
        .edges
        .iter()
        .map(|e| Some((*numbers.get(&e.service)?, *numbers.get(&e.peer)?)))
        .collect();
    let drawn: Vec<(usize, usize)> = ends.iter().flatten().copied().collect();
    let places = places(names.len(), &drawn);
    let cards: BTreeMap<&Name, usize> = report
        .services
        .iter()
        .enumerate()
        .map(|(n, service)| (&service.name, n))
        .collect();
    let mut worst: Vec<&'static str> = vec!["none"; names.len()];
    for (edge, ends) in report.edges.iter().zip(&ends).rev() {
        if let (Some((from, _)), true) = (ends, edge.loss.hits > 0) {
            worst[*from] = class(edge.loss);
        }
    }
    let nodes = names.iter().enumerate().map(|(number, name)| Node {
        x: places[number].0,
        y: places[number].1,
        label: short(&name.to_string()),
        name: name.to_string(),
        card: cards.get(name).copied(),
        number,
        class: worst[number],
    });
    let labels = report.edges.iter().filter(|e| e.loss.hits > 0).count() <= LABELS;
    let lines = report.edges.iter().zip(&ends).filter_map(|(edge, ends)| {
        let (from, to) = (*ends)?;
        let (path, (x, y)) = curve(places[from], places[to]);
        let lost = format!("{} %", crate::sink::text::words::percent(edge.loss.rate));
        Some(Line {
            path,
            class: class(edge.loss),
            from,
            to,
            title: format!(
                "{} → {}: context lost on {lost} of {} calls judged",
                edge.service, edge.peer, edge.loss.n
            ),
            label: (labels && edge.loss.hits > 0).then_some(lost),
            x,
            y,
        })
    });
    let most = |of: fn(&(u32, u32)) -> u32| places.iter().map(of).max().unwrap_or(0);
    Graph {
        // Curves within the last column go around its right side.
        width: most(|p| p.0) + COLUMN,
        height: most(|p| p.1) + HEIGHT + MARGIN,
        nodes: nodes.collect(),
        // The worst are drawn last, above the others.
        edges: lines.rev().collect(),
        left_out,
    }
}

/// Services and peers to draw, and how many are left out: those of the worst edges come first.
fn names(report: &Report) -> (Vec<&Name>, usize) {
    let mut all: Vec<&Name> = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let of_edges = report.edges.iter().flat_map(|e| [&e.service, &e.peer]);
    let active = report
        .services
        .iter()
        .filter(|s| s.requests > 0 || s.calls > 0 || s.lines > 0);
    let services = active.map(|s| &s.name);
    for name in of_edges.chain(services) {
        if seen.insert(name) {
            all.push(name);
        }
    }
    let left_out = all.len().saturating_sub(NODES);
    all.truncate(NODES);
    all.sort();
    (all, left_out)
}

/// Upper left corners of boxes.
fn places(count: usize, edges: &[(usize, usize)]) -> Vec<(u32, u32)> {
    let depth = depths(count, edges);
    let deepest = depth.iter().copied().max().unwrap_or(0);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); deepest + 1];
    for (node, depth) in depth.iter().enumerate() {
        columns[*depth].push(node);
    }
    order(&mut columns, count, edges);
    let columns: Vec<&[usize]> = columns.iter().flat_map(|c| c.chunks(ROWS)).collect();
    let tallest = columns.iter().map(|c| c.len()).max().unwrap_or(0);
    let mut places = vec![(0, 0); count];
    for (x, column) in columns.iter().enumerate() {
        // Columns are centred, in half rows.
        let above = pixels(tallest - column.len()) * ROW / 2;
        for (y, node) in column.iter().enumerate() {
            places[*node] = (
                MARGIN + pixels(x) * COLUMN,
                MARGIN + above + pixels(y) * ROW,
            );
        }
    }
    places
}

fn pixels(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX / COLUMN / 2)
}

/// Shortest distance from a service that nobody calls; in a circle, from its first by name.
fn depths(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut calls: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut called = vec![false; count];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        calls[*from].push(*to);
        called[*to] = true;
    }
    let mut depth: Vec<Option<usize>> = called.iter().map(|c| (!c).then_some(0)).collect();
    let mut queue: VecDeque<usize> = (0..count).filter(|n| !called[*n]).collect();
    let mut first = 0;
    loop {
        while let Some(node) = queue.pop_front() {
            let next = depth[node].unwrap_or(0) + 1;
            for to in &calls[node] {
                if depth[*to].is_none() {
                    depth[*to] = Some(next);
                    queue.push_back(*to);
                }
            }
        }
        let Some(rest) = (first..count).find(|n| depth[*n].is_none()) else {
            break;
        };
        first = rest;
        depth[rest] = Some(0);
        queue.push_back(rest);
    }
    depth.into_iter().map(|d| d.unwrap_or(0)).collect()
}

/// Orders columns so that fewer edges cross: each box towards the mean of those that it is joined with.
fn order(columns: &mut [Vec<usize>], count: usize, edges: &[(usize, usize)]) {
    let mut joined: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (from, to) in edges {
        joined[*from].push(*to);
        joined[*to].push(*from);
    }
    let mut place = vec![0.0_f64; count];
    let settle = |column: &[usize], place: &mut Vec<f64>| {
        for (n, node) in column.iter().enumerate() {
            place[*node] = (f64::from(pixels(n)) + 0.5) / f64::from(pixels(column.len()));
        }
    };
    columns.iter().for_each(|c| settle(c, &mut place));
    for _ in 0..6 {
        for column in columns.iter_mut() {
            let mean = |node: usize| {
                let of = &joined[node];
                let sum: f64 = of.iter().map(|other| place[*other]).sum();
                match of.len() {
                    0 => place[node],
                    n => sum / f64::from(pixels(n)),
                }
            };
            let mut means: Vec<(f64, usize)> = column.iter().map(|n| (mean(*n), *n)).collect();
            means.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            *column = means.into_iter().map(|(_, node)| node).collect();
            settle(column, &mut place);
        }
    }
}

/// The path between two boxes, and its middle.
fn curve(from: (u32, u32), to: (u32, u32)) -> (String, (u32, u32)) {
    let (y1, y2) = (from.1 + HEIGHT / 2, to.1 + HEIGHT / 2);
    let middle = u32::midpoint(y1, y2);
    let right = from.0 + WIDTH;
    if to.0 > from.0 {
        let bend = u32::midpoint(right, to.0);
        let path = format!("M{right} {y1}C{bend} {y1} {bend} {y2} {} {y2}", to.0 - 6);
        // Where most curves from one box have parted, and those to one box have not met yet.
        let (near, far) = (u32::midpoint(right, bend), u32::midpoint(y1, middle));
        return (
            path,
            (u32::midpoint(near, bend), u32::midpoint(far, middle)),
        );
    }
    // Back, or within a column: around the right side.
    let out = right.max(to.0 + WIDTH) + 60;
    let end = to.0 + WIDTH + 6;
    // What calls itself leaves above the middle and comes back below it.
    let (y1, y2) = if from == to {
        (y1 - 8, y2 + 8)
    } else {
        (y1, y2)
    };
    let path = format!("M{right} {y1}C{out} {y1} {out} {y2} {end} {y2}");
    (path, (out - 20, middle))
}

fn short(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    // The end of a name tells more than its namespace.
    let end: Vec<char> = name.chars().rev().take(LETTERS - 1).collect();
    format!("…{}", end.into_iter().rev().collect::<String>())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn boxes_do_not_overlap(
            count in 1..120_usize,
            edges in prop::collection::vec((0..120_usize, 0..120_usize), 0..300),
        ) {
            let edges: Vec<_> = edges.into_iter().map(|(a, b)| (a % count, b % count)).collect();
            let places = places(count, &edges);
            let apart: std::collections::BTreeSet<_> = places.iter().collect();
            prop_assert_eq!(apart.len(), count);
            for (x, y) in places {
                prop_assert!((x - MARGIN).is_multiple_of(COLUMN));
                prop_assert!(y >= MARGIN);
            }
        }
    }

    #[test]
    fn calls_go_to_the_right() {
        let places = places(4, &[(0, 1), (1, 2), (2, 1), (3, 2)]);
        assert!(places[0].0 < places[1].0);
        assert_eq!(places[0].0, places[3].0);
    }
}
