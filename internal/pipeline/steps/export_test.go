package steps

// The records in work/, so that a fixture has every key that a step demands of them.
type (
	AuditRecord = auditRecord
	E2ERecord   = e2eRecord
	PlanRecord  = planRecord
)
