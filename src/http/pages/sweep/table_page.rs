//! The part of a sweep's table that one view shows, and the links to its rows.

use crate::http::pages::sweep::Asked;
use crate::http::sweeps::view::SweepRow;

/// Maximum number of rows in a view.
pub const ROWS: usize = 50;
/// Maximum number of points in a chart with links, since links make the page larger.
const MAX_LINKED: usize = 200;

/// One page of a sweep's table.
#[derive(Clone, Copy)]
pub struct TablePage<'a> {
    /// All rows of the sweep, by point.
    pub table: &'a [SweepRow],
    pub asked: &'a Asked,
}

impl TablePage<'_> {
    /// Returns the number of the last page; the first is 1.
    pub fn last(&self) -> usize {
        self.table.len().div_ceil(ROWS).max(1)
    }

    /// Returns the number of this page.
    pub fn number(&self) -> usize {
        self.asked.page.clamp(1, self.last())
    }

    /// Returns the rows of this page.
    pub fn rows(&self) -> &[SweepRow] {
        let from = (self.number() - 1) * ROWS;
        &self.table[from.min(self.table.len())..self.table.len().min(from + ROWS)]
    }

    /// Returns the link to another page of the table; `None` if there is none.
    pub fn link(&self, number: usize) -> Option<String> {
        let is_there = (1..=self.last()).contains(&number);
        is_there.then(|| format!("{}#table", self.asked.query(&[("page", &number.to_string())])))
    }

    /// Returns the link to the row of a point, which may be on another page.
    pub fn row_link(&self, point: u32) -> String {
        let index = self.table.iter().position(|row| row.point == point);
        let number = index.map_or(1, |index| index / ROWS + 1);
        match number == self.number() {
            true => format!("#point-{point}"),
            false => format!("{}#point-{point}", self.asked.query(&[("page", &number.to_string())])),
        }
    }

    /// Returns the link from a chart to the row of a point; `None` when there are too many points.
    pub fn chart_link(&self, point: u32) -> Option<String> {
        (self.table.len() <= MAX_LINKED).then(|| self.row_link(point))
    }
}
