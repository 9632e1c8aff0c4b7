//! Why an exchange is halted, short enough for people.

/// How the reason begins that another installation, or a lost journal, has for each of its orders.
const STRAY: &str = "second instance or lost journal: ";
/// Orders of another installation that are named.
const NAMED: usize = 2;

/// The reasons of a halt, as the broker joined them. What is said of each of many orders of another
/// installation is said once.
#[must_use]
pub fn halt(reasons: &str) -> String {
    let (strays, others): (Vec<&str>, Vec<&str>) =
        reasons.split("; ").partition(|reason| reason.starts_with(STRAY));
    if strays.len() <= NAMED {
        return reasons.to_owned();
    }
    let name = |reason: &&str| {
        let reason = reason.strip_prefix(STRAY).unwrap_or(reason);
        reason.split(" was sent ").next().unwrap_or(reason).to_owned()
    };
    let named: Vec<String> = strays.iter().take(NAMED).map(name).collect();
    let first = format!(
        "{STRAY}at least {} orders were sent with our key that the journal does not know, such as {}",
        strays.len(),
        named.join(" and ")
    );
    let all: Vec<&str> = std::iter::once(first.as_str()).chain(others).collect();
    all.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_orders_of_another_installation_are_counted_and_two_of_them_named() {
        let stray = |number: u32| {
            format!(
                "{STRAY}order {number} at okx was sent with our key as x{number}, which the journal does not know"
            )
        };
        let few = [stray(1), stray(2)].join("; ");
        assert_eq!(halt(&few), few);
        let many: Vec<String> = (1..=5).map(stray).chain(["late fill: x".to_owned()]).collect();
        assert_eq!(
            halt(&many.join("; ")),
            "second instance or lost journal: at least 5 orders were sent with our key that the journal does not know, such as order 1 at okx and order 2 at okx; late fill: x"
        );
    }
}
