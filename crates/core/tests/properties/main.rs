//! What holds for every plan, whatever the portfolio looks like.

#[cfg(test)]
mod golden;
#[cfg(test)]
mod guard;
#[cfg(test)]
mod planner;
#[cfg(test)]
mod portfolio;
#[cfg(test)]
mod reference;
