"""Authority: who may do what. Decisions are pure and synchronous; nothing here knows asyncio or WebAssembly."""

from __future__ import annotations

from airssys_security.audit.records import AuditSink as AuditSink
from airssys_security.audit.records import MemorySink as MemorySink
from airssys_security.capabilities import CapabilitySet as CapabilitySet
from airssys_security.checks import CapabilityService as CapabilityService
from airssys_security.checks import check_capability as check_capability
from airssys_security.context import Mask as Mask
from airssys_security.context import SecurityContext as SecurityContext
from airssys_security.decisions import Decision as Decision
from airssys_security.decisions import Denied as Denied
from airssys_security.decisions import Granted as Granted
from airssys_security.errors import SecurityError as SecurityError
from airssys_security.never import never_list as never_list
from airssys_security.normalise import normalise as normalise
from airssys_security.policy import Policy as Policy
from airssys_security.requests import Request as Request

__all__ = (
    "AuditSink",
    "CapabilityService",
    "CapabilitySet",
    "Decision",
    "Denied",
    "Granted",
    "Mask",
    "MemorySink",
    "Policy",
    "Request",
    "SecurityContext",
    "SecurityError",
    "check_capability",
    "never_list",
    "normalise",
)
