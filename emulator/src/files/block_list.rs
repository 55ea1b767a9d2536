//! The list of blocks that a blob is put together from. Pure.

/// A block by its id, in base64, and where it is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) id: String,
    /// Whether an uncommitted block of this id counts.
    pub(crate) fresh: bool,
    /// Whether a committed block of this id counts, where there is no fresh one.
    pub(crate) kept: bool,
}

/// Azure's limit on the blocks of a blob.
pub(crate) const MAX_BLOCKS: usize = 50_000;

/// Reads `<BlockList><Latest>id</Latest>...</BlockList>`; the error is a rule.
///
/// The document has elements of base64 and nothing else, so that this is the whole of XML that it needs.
pub(crate) fn parse(xml: &str) -> Result<Vec<Listed>, &'static str> {
    let mut rest = xml.trim_start_matches('\u{feff}').trim();
    if let Some(declaration) = rest.strip_prefix("<?xml") {
        let end = declaration.find("?>").ok_or("the XML declaration has no end")?;
        rest = declaration[end + 2..].trim_start();
    }
    if matches!(rest, "<BlockList/>" | "<BlockList />") {
        return Ok(Vec::new());
    }
    rest = rest.strip_prefix("<BlockList>").ok_or("the root must be BlockList")?;
    let mut blocks = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("</BlockList>") {
            return if after.is_empty() { Ok(blocks) } else { Err("nothing may follow </BlockList>") };
        }
        if blocks.len() == MAX_BLOCKS {
            return Err("a blob has at most 50000 blocks");
        }
        let (tag, after) = rest
            .strip_prefix('<')
            .and_then(|rest| rest.split_once('>'))
            .ok_or("an element must come where there is none")?;
        let (fresh, kept) = match tag {
            "Latest" => (true, true),
            "Uncommitted" => (true, false),
            "Committed" => (false, true),
            _ => return Err("BlockList holds Latest, Uncommitted and Committed"),
        };
        let (id, after) = after.split_once('<').ok_or("an element has no end")?;
        let after = after.strip_prefix('/').and_then(|after| after.strip_prefix(tag));
        rest = after.and_then(|after| after.strip_prefix('>')).ok_or("an element has no end")?;
        blocks.push(Listed { id: id.trim().to_owned(), fresh, kept });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lists_of_the_sdks_are_read() {
        let ids = |xml: &str| -> Vec<String> { parse(xml).unwrap().into_iter().map(|b| b.id).collect() };
        assert_eq!(
            ids(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<BlockList><Latest>ICAgICAw</Latest><Latest>ICAgICAx</Latest></BlockList>"
            ),
            ["ICAgICAw", "ICAgICAx"]
        );
        assert_eq!(
            ids(
                "<?xml version='1.0' encoding='utf-8'?>\n<BlockList>\n <Latest>QQ==</Latest>\n</BlockList>\n"
            ),
            ["QQ=="]
        );
        assert!(ids("<BlockList/>").is_empty() && ids("<BlockList></BlockList>").is_empty());
        let both = parse("<BlockList><Committed>QQ==</Committed><Uncommitted>Qg==</Uncommitted></BlockList>")
            .unwrap();
        assert_eq!((both[0].fresh, both[0].kept, both[1].fresh, both[1].kept), (false, true, true, false));
    }

    #[test]
    fn what_is_no_block_list_is_refused() {
        for xml in [
            "",
            "<BlockList>",
            "<Blocks></Blocks>",
            "<BlockList><Latest>QQ==</BlockList>",
            "<BlockList><Latest>QQ==</Committed></BlockList>",
            "<BlockList><Other>QQ==</Other></BlockList>",
            "<BlockList>text</BlockList>",
            "<BlockList></BlockList><x/>",
            "<?xml <BlockList/>",
        ] {
            assert!(parse(xml).is_err(), "{xml}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(<|>|/|BlockList|Latest|\\?xml|[a-z=]|\u{e9}){0,40}") {
            let _ = parse(&text);
        }
    }
}
