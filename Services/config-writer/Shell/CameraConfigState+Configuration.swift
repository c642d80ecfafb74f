internal import BusContract
internal import ClusterConfig
internal import Domain

extension CameraConfigState {
    init(_ camera: CameraConfiguration, revision: Int) {
        self.init(
            revision: revision, node: camera.node, source: camera.source.publicText, groups: camera.groups,
            record: camera.record.rawValue, prerollSeconds: camera.preroll.publishedSeconds, audio: camera.audio,
            rotation: Rotation(
                intervalSeconds: camera.rotation.interval.publishedSeconds, align: camera.rotation.align),
            closeAfterSeconds: CloseAfter(
                recording: camera.lifecycle.recording.closeAfter.publishedSeconds,
                viewing: camera.lifecycle.viewing.closeAfter.publishedSeconds,
                snapshot: camera.lifecycle.snapshot.closeAfter.publishedSeconds),
            secrets: camera.secrets)
    }
}
