import BusContract
import CaptureWorkerCore
import Domain
import RotationServiceCore
import TestSupport

/// The links of the three clients: retained states sent again with every connect, a durable outbox for events.
extension Simulation {
    func publish(_ message: SimulatedMessage, from client: SimulatedBus<SimulatedMessage>.Client) {
        guard bus.isConnected(client) else { return }
        send(message)
    }

    private func send(_ message: SimulatedMessage) {
        let deliveries = bus.publish(
            message, on: message.topic, isRetained: message.isRetained, at: clock.now, &random)
        for delivery in deliveries { agenda.add(.delivered(delivery), at: delivery.at) }
    }

    /// Into the worker's outbox, and on its way if there is one.
    func emit(_ message: SimulatedMessage) {
        workerState.nextNumber += 1
        workerState.outbox.append((workerState.nextNumber, message))
        if bus.isConnected(.worker) { post(message, number: workerState.nextNumber) }
    }

    private func post(_ message: SimulatedMessage, number: Int) {
        send(message)
        guard let connection = bus.connection(of: .worker) else { return }
        let answer = clock.now + random.duration(in: .milliseconds(1) ... .milliseconds(100))
        agenda.add(.acknowledged(number: number, connection: connection), at: answer)
    }

    func connect(_ client: SimulatedBus<SimulatedMessage>.Client) {
        guard !bus.isConnected(client), isAlive(client) else { return }
        guard let deliveries = bus.connect(client, at: clock.now, &random) else {
            return reconnectSoon(client)
        }
        for delivery in deliveries { agenda.add(.delivered(delivery), at: delivery.at) }
        switch client {
        case .worker:
            send(.availability(.online))
            if let stream = worker?.stream { send(.stream(stream)) }
            if let recording = worker?.recording { send(.recording(recording)) }
            for (number, message) in workerState.outbox { post(message, number: number) }
        case .rotation:
            if let plan = rotation.plan { send(.plan(plan)) }
            tellRotation(.busConnected)
        case .person: break
        }
    }

    private func isAlive(_ client: SimulatedBus<SimulatedMessage>.Client) -> Bool {
        switch client {
        case .worker: worker != nil
        case .rotation: rotation.core != nil
        case .person: true
        }
    }

    func reconnectSoon(_ client: SimulatedBus<SimulatedMessage>.Client) {
        agenda.add(.reconnect(client), at: clock.now + random.duration(in: .milliseconds(250) ... .seconds(5)))
    }

    /// The broker notices that a client is gone, and speaks its last will.
    func unlink(_ client: SimulatedBus<SimulatedMessage>.Client) {
        guard bus.isConnected(client) else { return }
        bus.disconnect(client)
        if client == .worker, bus.isUp { send(.availability(.offline)) }
    }

    func deliver(_ delivery: SimulatedBus<SimulatedMessage>.Delivery) {
        guard bus.connection(of: delivery.to) == delivery.connection else { return }
        switch (delivery.to, delivery.payload) {
        case (.worker, .command(let command, let number)):
            tell(.commanded(command, CaptureWorkerCore.CommandToken(number: number)))
        case (.worker, .plan(let plan)): tell(.planReceived(plan))
        case (.rotation, .segment(let event)): tellRotation(.segmentReported(Self.camera, event))
        case (.rotation, .gap(let event)): tellRotation(.gapReported(Self.camera, event))
        case (.rotation, .recording(let state)): tellRotation(.recordingReported(Self.camera, state))
        case (.rotation, .availability(let state)): tellRotation(.availabilityReported(Self.camera, state))
        case (.person, .accepted(_, let number)), (.person, .refused(_, let number)): personHears(number)
        case (.worker, _), (.rotation, _), (.person, _): break
        }
    }
}
