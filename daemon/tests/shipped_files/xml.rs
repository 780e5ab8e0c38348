//! A strict reader for the small XML files that are shipped: it accepts what is well-formed (without
//! processing instructions inside, CDATA and entity definitions, which none of them uses) and refuses the rest.

use std::collections::BTreeMap;

/// An element with what the tests ask about.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Element {
    /// Its name.
    pub(crate) name: String,
    /// Its attributes; entities are left as they are.
    pub(crate) attributes: BTreeMap<String, String>,
    /// The text directly in it.
    pub(crate) text: String,
    /// The elements in it.
    pub(crate) children: Vec<Element>,
}

impl Element {
    /// All elements of this name, at any depth.
    pub(crate) fn all<'a>(&'a self, name: &str) -> Vec<&'a Element> {
        let mut found: Vec<_> = self.children.iter().flat_map(|child| child.all(name)).collect();
        if self.name == name {
            found.push(self);
        }
        found
    }

    /// An attribute's value, "" if it is not there.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// Reads a document; the error says what is wrong and in which line.
pub(crate) fn parse(text: &str) -> Result<Element, String> {
    let mut rest = text;
    let mut open = vec![Element::default()];
    let fail = |rest: &str, what: String| {
        let line = text[..text.len() - rest.len()].lines().count().max(1);
        Err(format!("line {line}: {what}"))
    };
    while !rest.is_empty() {
        if let Some(comment) = rest.strip_prefix("<!--") {
            match comment.find("--") {
                Some(end) if comment[end..].starts_with("-->") => rest = &comment[end + 3..],
                _ => return fail(rest, "a comment that does not end, or holds \"--\"".into()),
            }
        } else if rest.starts_with("<?") || rest.starts_with("<!") {
            if open.len() > 1 || !open[0].children.is_empty() {
                return fail(rest, "a declaration in the wrong place".into());
            }
            match rest.find('>') {
                Some(end) => rest = &rest[end + 1..],
                None => return fail(rest, "a declaration that does not end".into()),
            }
        } else if let Some(name) = rest.strip_prefix("</") {
            let Some(end) = name.find('>') else { return fail(rest, "a tag that does not end".into()) };
            let element = open.pop().filter(|element| !open.is_empty() && element.name == name[..end].trim_end());
            let Some(element) = element else { return fail(rest, format!("</{}> closes nothing", &name[..end])) };
            if let Some(parent) = open.last_mut() {
                parent.children.push(element);
            }
            rest = &name[end + 1..];
        } else if let Some(tag) = rest.strip_prefix('<') {
            let (element, empty, after) = match start_tag(tag) {
                Ok(tag) => tag,
                Err(what) => return fail(rest, what),
            };
            if open.len() == 1 && !open[0].children.is_empty() {
                return fail(rest, "a second root element".into());
            }
            match open.last_mut() {
                Some(parent) if empty => parent.children.push(element),
                _ => open.push(element),
            }
            rest = after;
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            let here = &rest[..end];
            if let Err(what) = character_data(here) {
                return fail(rest, what);
            }
            if open.len() == 1 && !here.trim().is_empty() {
                return fail(rest, "text outside the root element".into());
            }
            if let Some(element) = open.last_mut() {
                element.text.push_str(here);
            }
            rest = &rest[end..];
        }
    }
    match (open.len(), open.pop().and_then(|mut document| document.children.pop())) {
        (1, Some(root)) => Ok(root),
        _ => fail(rest, "an element is not closed, or there is none".into()),
    }
}

/// Reads a start tag behind its `<`: the element, whether it is an empty one, and what follows.
fn start_tag(tag: &str) -> Result<(Element, bool, &str), String> {
    let (name, mut rest) = xml_name(tag)?;
    let mut element = Element { name: name.to_owned(), ..Element::default() };
    loop {
        let trimmed = rest.trim_start();
        if let Some(after) = trimmed.strip_prefix("/>") {
            return Ok((element, true, after));
        }
        if let Some(after) = trimmed.strip_prefix('>') {
            return Ok((element, false, after));
        }
        if trimmed.len() == rest.len() {
            return Err(format!("no blank before an attribute of <{name}>"));
        }
        let (key, after) = xml_name(trimmed)?;
        let value = after.trim_start().strip_prefix('=').ok_or_else(|| format!("attribute {key} has no value"))?;
        let value = value.trim_start();
        let quote =
            value.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or_else(|| format!("{key}: no quote"))?;
        let (value, after) = value[1..].split_once(quote).ok_or_else(|| format!("{key}: the quote is not closed"))?;
        if value.contains('<') {
            return Err(format!("{key}: \"<\" in a value"));
        }
        character_data(value)?;
        if element.attributes.insert(key.to_owned(), value.to_owned()).is_some() {
            return Err(format!("attribute {key} twice"));
        }
        rest = after;
    }
}

fn xml_name(text: &str) -> Result<(&str, &str), String> {
    let end =
        text.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))).unwrap_or(text.len());
    match text[..end].chars().next() {
        Some(first) if first.is_ascii_alphabetic() || first == '_' => Ok(text.split_at(end)),
        _ => Err("a name was expected".into()),
    }
}

/// Refuses a bare `&`.
fn character_data(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('&') {
        let entity = text[at + 1..].split_once(';').map_or("", |(entity, _)| entity);
        if !matches!(entity, "amp" | "lt" | "gt" | "quot" | "apos") && !entity.starts_with('#') {
            return Err(format!("\"&{entity}\" is no entity"));
        }
    }
    Ok(())
}

#[test]
fn it_reads_what_is_well_formed() {
    let root = parse("<?xml version=\"1.0\"?>\n<!-- c --><a x='1'>t&amp;<b y=\"2\" /><b/></a>\n").unwrap();
    assert_eq!((root.name.as_str(), root.attribute("x"), root.text.as_str()), ("a", "1", "t&amp;"));
    assert_eq!(root.all("b").iter().map(|b| b.attribute("y")).collect::<Vec<_>>(), ["2", ""]);
}

#[test]
fn it_refuses_what_is_not() {
    for text in [
        "",
        "text",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><a/>",
        "<a b></a>",
        "<a b=c/>",
        "<a b='c/>",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a>&</a>",
        "<a>&nbsp;</a>",
        "<a><!-- a -- b --></a>",
        "<a><!-- </a>",
        "<a/>x",
        "<a b='<'/>",
        "< a/>",
        "<a><?x?></a>",
    ] {
        assert!(parse(text).is_err(), "{text}");
    }
}
