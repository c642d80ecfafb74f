package import ConfigWriterCore
package import Domain
internal import ServiceKit

extension ConfigWriterFolder {
    /// Performs what concerns the folder; other effects are not its business.
    package func perform(
        _ effect: ConfigEffect, _ texts: [ConfigText: ConfigWriterReader.Loaded]
    ) -> ConfigEvent? {
        let now = ServiceClock.now().wall
        switch effect {
        case .record(let number, let text, let origin, let note):
            if let bytes = texts[text]?.bytes { record(number, bytes, origin, note, at: now) }
        case .recordRefused(let text):
            if let bytes = texts[text]?.bytes {
                record(nil, bytes, .file, ConfigNote(why: "it does not load"), at: now)
            }
        case .markApplied(let number): markApplied(number)
        case .markSuperseded(let number): markSuperseded(number)
        case .rememberFileSeen(let text): noteFileSeen(text)
        case .activate(let number, let text):
            guard let bytes = texts[text]?.bytes else {
                return .activated(number, CodedError(.internal, "the text of revision \(number) is lost"))
            }
            return .activated(number, activate(number, bytes, at: now))
        case .writeFile, .publishCameras, .publish, .reply, .refuse, .wake: break
        }
        return nil
    }

    /// Puts a text into the user's file.
    /// - Parameter lastRead: what the file held then; anything else is somebody's and is kept.
    package func replaceFile(
        _ reader: ConfigWriterReader, _ bytes: [UInt8], lastRead: ConfigText?
    ) -> CodedError? {
        guard let path = reader.path else { return CodedError(.notReady, "there is no configuration file") }
        let present = reader.readFile()
        if let loaded = present.loaded, present.reading.text != lastRead {
            record(
                nil, loaded.bytes, .file, ConfigNote(why: "replaced before it was read"), at: ServiceClock.now().wall)
        }
        do throws(CodedError) {
            try AtomicFile.replace(bytes, at: path)
            return nil
        } catch {
            return error
        }
    }
}
