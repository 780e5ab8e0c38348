//! What the tests of the contract have in common: reading an interface description.

use zbus_xml::{Interface, Node};

/// The interface that a file describes.
pub(crate) fn interface(name: &str, xml: &str) -> Interface<'static> {
    let node = Node::from_reader(xml.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
    let [interface] = node.interfaces() else { panic!("{name}: not exactly one interface") };
    assert_eq!(interface.name().as_str(), name);
    interface.to_owned()
}

/// The value of a property's `EmitsChangedSignal` annotation, `true` where there is none.
pub(crate) fn emits(property: &zbus_xml::Property<'_>) -> String {
    property
        .annotations()
        .iter()
        .find(|a| a.name() == "org.freedesktop.DBus.Property.EmitsChangedSignal")
        .map_or_else(|| "true".to_owned(), |a| a.value().to_owned())
}
