//! The simulation seen from outside: books that conserve, dialects that refuse what venues refuse,
//! faults that strike where they are told to.

#[cfg(test)]
mod binance;
#[cfg(test)]
mod client;
#[cfg(test)]
mod conservation;
#[cfg(test)]
mod doubles;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod okx;
#[cfg(test)]
mod practice;
