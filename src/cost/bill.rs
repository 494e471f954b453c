//! A bill: lines that say what, how much of it, at what price and why.

use super::money::{Money, grouped};
use super::prices::Price;

/// What one way to do it costs a month.
#[derive(Debug, Clone)]
pub struct Bill {
    /// The way.
    pub name: &'static str,
    /// What it is made up of.
    pub lines: Vec<Line>,
    /// What else to know of it.
    pub notes: Vec<String>,
    /// Why it cannot be done so, if it cannot.
    pub obstacle: Option<String>,
}

impl Bill {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, lines: Vec::new(), notes: Vec::new(), obstacle: None }
    }

    pub(super) fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// The sum of the lines.
    pub fn total(&self) -> Money {
        self.lines.iter().map(|line| line.amount).sum()
    }
}

/// One line of a bill.
#[derive(Debug, Clone)]
pub struct Line {
    /// What is paid for, in the plural.
    pub what: &'static str,
    /// How many.
    pub quantity: u128,
    /// Why so many.
    pub because: String,
    /// What they cost.
    pub price: Price,
    /// What that comes to.
    pub amount: Money,
}

impl Line {
    pub(super) fn new(
        what: &'static str,
        quantity: u128,
        because: impl Into<String>,
        price: &Price,
    ) -> Self {
        let charged = quantity.saturating_sub(u128::from(price.free));
        let amount = Money::of(charged, price.dollars, price.per);
        Self { what, quantity, because: because.into(), price: price.clone(), amount }
    }

    /// The calculation in words: `(50,000 - 10,000 free) × $0.05`.
    pub fn formula(&self) -> String {
        let (quantity, free) = (grouped(self.quantity), u128::from(self.price.free));
        let quantity = if free == 0 {
            quantity
        } else if self.quantity <= free {
            return format!("{quantity} of {} free", grouped(free));
        } else {
            format!("({quantity} - {} free)", grouped(free))
        };
        match self.price.per.get() {
            1 => format!("{quantity} × ${}", self.price.dollars),
            per => format!("{quantity} × ${} / {}", self.price.dollars, grouped(per.into())),
        }
    }
}
