// Turns a call into the message that Segment's and RudderStack's Node SDKs take alike.
export function message(call) {
  const common = {
    userId: call.user_id, timestamp: new Date(call.time_ms), messageId: call.id, context: call.context,
  };
  if (call.device_id !== null) common.anonymousId = call.device_id;
  switch (call.kind) {
    case "track": return { ...common, event: call.name, properties: call.properties };
    case "identify": return { ...common, traits: call.properties };
    case "group": return { ...common, groupId: call.group_id, traits: call.properties };
    case "alias": return { ...common, previousId: call.previous_id };
    default: return { ...common, name: call.name, category: call.category, properties: call.properties };
  }
}
