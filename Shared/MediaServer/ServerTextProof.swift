internal import ClusterConfig
internal import Domain

/// That an edited text says what it should and nothing else: the last thing before it is written.
struct ServerTextProof {
    let before: YAMLTree
    let name: String
    let node: NodeID

    /// - Parameters:
    ///   - ours: must stand there exactly so.
    ///   - kept: ours too, and as they stood before.
    /// - Returns: the keys that the table does not know.
    func check(_ bytes: [UInt8], ours: [PathSettings], kept: [String]) throws(CodedError) -> [String] {
        let after: YAMLTree
        do throws(ConfigurationError) {
            after = try YAMLTree.parse(bytes, name: name)
        } catch {
            throw refusal("with Framekeeper's paths in it, it would not be valid: \(error.message)")
        }
        let names = Set(ours.map(\.name) + kept)
        guard foreign(after, without: names) == foreign(before, without: names) else {
            throw refusal("something else in it would change its meaning, perhaps by an anchor or a merge key")
        }
        for path in ours {
            guard let entries = after["paths"]?[path.name]?.entries,
                entries.count == path.values.count,
                entries.allSatisfy({ entry in path.values[entry.key].map { entry.value.says($0) } ?? false })
            else { throw refusal("path \(path.name) would not be as it should") }
        }
        let findings = MediaServerSchema.check(after)
        guard findings.faults.isEmpty else { throw refusal(findings.faults.joined(separator: "; ")) }
        return findings.unknownKeys
    }

    private func refusal(_ reason: String) -> CodedError {
        CodedError(.conflict, "\(name) cannot be edited safely: \(reason)")
    }

    /// Everything that is not ours, key by key; an empty `paths` is as good as none.
    private func foreign(_ tree: YAMLTree, without names: Set<String>) -> [YAMLTree.Entry] {
        (tree.withoutPlaces.entries ?? []).compactMap { entry in
            guard entry.key == "paths" else { return entry }
            let rest = (entry.value.entries ?? []).filter { !names.contains($0.key) && !$0.value.isMade(by: node) }
            guard !rest.isEmpty else { return nil }
            var entry = entry
            entry.value.content = .mapping(rest)
            return entry
        }
    }
}

extension YAMLTree {
    func isMade(by node: NodeID) -> Bool {
        self[PathSettings.markerKey]?.says(.text(PathSettings.marker(node))) ?? false
    }

    /// Whether a reader of YAML takes this for `value`.
    fileprivate func says(_ value: SettingValue) -> Bool {
        switch (content, value) {
        case (.scalar(let text, false), .text(let wanted)): text == wanted
        case (.scalar(let text, true), .flag(let flag)): text == (flag ? "true" : "false")
        case (.scalar(let text, true), .number(let number)): Double(text) == number
        case (.sequence(let items), .list(let wanted)):
            items.count == wanted.count && zip(items, wanted).allSatisfy { $0.says($1) }
        default: false
        }
    }
}
