//! Whole cycles over generated markets: what holds whatever the prices, the venues and the operator do.

#[cfg(test)]
mod accounting;
#[cfg(test)]
mod books;
#[cfg(test)]
mod conservation;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod lookahead;
#[cfg(test)]
mod peg;
#[cfg(test)]
mod quotes;
#[cfg(test)]
mod reproducible;
#[cfg(test)]
mod rest;
#[cfg(test)]
mod rules;
#[cfg(test)]
mod scenario;
#[cfg(test)]
mod unknown;
#[cfg(test)]
mod unread;
