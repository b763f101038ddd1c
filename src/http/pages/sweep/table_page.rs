//! The part of a sweep's table that one view shows, and the links to its rows.

use crate::http::pages::sweep::Asked;
use crate::http::sweeps::view::SweepRow;
use joulemark_experiment::ExperimentId;

/// Maximum number of rows in a view.
pub const ROWS: usize = 50;
/// Maximum number of points in a chart with links, tooltips and intervals, which make the page larger.
const MAX_DETAILED: usize = 200;

/// Returns the address of a point's row relative to `sweeps/`. The rows of a table are in the order of the points.
pub fn point_address(sweep: ExperimentId, point: u32) -> String {
    match point as usize / ROWS {
        0 => format!("{sweep}#point-{point}"),
        pages_before => format!("{sweep}?page={}#point-{point}", pages_before + 1),
    }
}

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
        (!self.is_dense()).then(|| self.row_link(point))
    }

    /// Returns whether there are too many points to draw each with its link, tooltip and interval.
    pub fn is_dense(&self) -> bool {
        self.table.len() > MAX_DETAILED
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Map;

    use super::*;

    fn table(points: u32) -> Vec<SweepRow> {
        let row = |point| SweepRow {
            point,
            values: Map::new(),
            experiments: Vec::new(),
            completed: 0,
            metrics: BTreeMap::new(),
        };
        (0..points).map(row).collect()
    }

    #[test]
    fn the_address_of_a_point_names_the_page_of_its_row() {
        let sweep = ExperimentId::generate();
        assert_eq!(point_address(sweep, 49), format!("{sweep}#point-49"));
        assert_eq!(point_address(sweep, 60), format!("{sweep}?page=2#point-60"));
    }

    #[test]
    fn a_row_is_linked_on_the_page_that_has_it() {
        let (table, asked) = (
            table(120),
            Asked {
                page: 2,
                ..Asked::default()
            },
        );
        let shown = TablePage {
            table: &table,
            asked: &asked,
        };
        assert_eq!((shown.number(), shown.last(), shown.rows()[0].point), (2, 3, 50));
        assert_eq!(shown.row_link(99), "#point-99");
        assert_eq!(shown.row_link(100), "?page=3#point-100");
        assert_eq!(shown.chart_link(100), Some("?page=3#point-100".to_owned()));
        assert_eq!((shown.link(0), shown.link(4)), (None, None));
    }

    #[test]
    fn charts_of_many_points_have_no_links() {
        let (table, asked) = (table(201), Asked::default());
        let shown = TablePage {
            table: &table,
            asked: &asked,
        };
        assert_eq!((shown.is_dense(), shown.chart_link(0)), (true, None));
    }

    #[test]
    fn an_empty_table_has_one_page() {
        let asked = Asked {
            page: 7,
            ..Asked::default()
        };
        let shown = TablePage {
            table: &[],
            asked: &asked,
        };
        assert_eq!((shown.number(), shown.last(), shown.rows().len()), (1, 1, 0));
    }
}
