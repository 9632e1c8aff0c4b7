//! A simulated exchange on the wire, with its own books and faults on request.
